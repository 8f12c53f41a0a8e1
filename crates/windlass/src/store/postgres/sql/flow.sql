-- Flow $1, if it is tenant $2's (null: anyone's). Caller: flows.rs.
select id, name, tenant_id, correlation_id, created_at, finished_at, steps, completed, failed, skipped
  from jobs.flows
 where id = $1
   and ($2::text is null or tenant_id = $2)
