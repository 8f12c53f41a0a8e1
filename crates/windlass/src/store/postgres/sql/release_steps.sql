-- Lets the jobs $1 go at $2 (or now), whose parents have ended; those that are ordered into their lines, which are locked
-- and handed on next. Caller: steps.rs.
with clock as materialized (
    select coalesce($2, clock_timestamp()) as now
)
update jobs.jobs j
   set state = case when s.ordering_key is not null then 'waiting' when j.run_at > (select now from clock) then 'scheduled' else 'available' end,
       ordering_key = s.ordering_key,
       run_at = greatest(j.run_at, (select now from clock))
  from jobs.flow_steps s
 where j.id = any ($1)
   and s.job_id = j.id
returning j.queue, j.priority, j.run_at, j.tenant_id, j.ordering_key
