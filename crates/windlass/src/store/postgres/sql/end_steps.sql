-- Writes down how steps ($1 jobs) ended ($2), with their results ($3) and reasons ($4). Caller: steps.rs.
update jobs.flow_steps s
   set ended_as = ended.ended_as,
       result = ended.result::json,
       reason = ended.reason,
       blocked = false,
       pending = 0
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as ended (job_id, ended_as, result, reason)
 where s.job_id = ended.job_id
   and s.ended_as is null
returning s.job_id, s.flow_id, s.ended_as
