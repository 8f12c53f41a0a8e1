-- start_flow: adds a flow (?1 id, ?2 name, ?3 tenant, ?4 correlation id, ?5 steps) at ?6, unless it is there. Caller: start.rs.
insert into job_flows (id, name, tenant_id, correlation_id, steps, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (id) do nothing;
