-- Makes ended steps ($1 jobs) unfinished again, waiting for so many parents ($2). Caller: flows.rs.
update jobs.flow_steps s
   set ended_as = null,
       result = null,
       reason = null,
       blocked = true,
       pending = again.pending
  from unnest($1::uuid[], $2::int[]) as again (job_id, pending)
 where s.job_id = again.job_id
