-- The state and keys of job $1 if it is finished and tenant $2's (null: anyone's), locked. Caller: operate.rs.
select state, kind, tenant_id, unique_key
  from jobs.finished_jobs
 where id = $1
   and ($2::text is null or tenant_id = $2)
   for update
