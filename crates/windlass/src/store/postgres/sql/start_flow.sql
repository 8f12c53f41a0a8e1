-- Adds a flow ($1 id, $2 name, $3 tenant, $4 correlation id, $5 steps) at $6 (or now), unless it is there; tells when. Caller: start.rs.
insert into jobs.flows (id, name, tenant_id, correlation_id, steps, created_at)
values ($1, $2, $3, $4, $5, coalesce($6, clock_timestamp()))
    on conflict (id) do nothing
returning created_at
