-- Writes down for how many parents ($2) steps ($1) wait, and whether they still do ($3). Caller: steps.rs.
update jobs.flow_steps s
   set pending = moved.pending,
       blocked = moved.blocked
  from unnest($1::uuid[], $2::int[], $3::boolean[]) as moved (job_id, pending, blocked)
 where s.job_id = moved.job_id
