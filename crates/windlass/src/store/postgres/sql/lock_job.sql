-- The state and tenant of job $1 if it is unfinished and tenant $2's (null: anyone's), locked. Caller: operate.rs.
select state, tenant_id
  from jobs.jobs
 where id = $1
   and ($2::text is null or tenant_id = $2)
   for update
