-- flow: flow ?1, of tenant ?2 if one is given. Caller: flows.rs.
select id, name, tenant_id, correlation_id, created_at, finished_at, steps, completed, failed, skipped
from job_flows
where id = ?1
and (?2 is null or tenant_id = ?2);
