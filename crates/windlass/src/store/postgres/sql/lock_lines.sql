-- Locks the lines of the ordered jobs among $1, those that the steps of their flows may join, and others (tenant $2,
-- key $3), in order, until the transaction ends; says whether there are flows. Before any row is changed: line locks come first. Caller: lines.rs.
with ending as materialized (
    select tenant_id, ordering_key, flow_id
      from jobs.jobs
     where id = any ($1)
       and (ordering_key is not null or flow_id is not null)
),
lines as materialized (
    select jobs.line_lock(tenant_id, ordering_key) as line_lock
      from ending
     where ordering_key is not null
     union
    select jobs.line_lock(tenant_id, ordering_key)
      from unnest($2::text[], $3::text[]) as joined (tenant_id, ordering_key)
     union
    select jobs.line_lock(f.tenant_id, s.ordering_key)
      from (select distinct flow_id
              from ending
             where flow_id is not null) as of_flow
      join jobs.flows f on f.id = of_flow.flow_id
      join jobs.flow_steps s on s.flow_id = f.id
       and s.ordering_key is not null
     order by 1
)
select exists (select from ending where flow_id is not null) as flows,
       (select count(jobs.lock_line(line_lock)::text) from lines) as locks
