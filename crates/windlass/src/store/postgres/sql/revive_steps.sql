-- Makes finished jobs ($1) of flow $2 wait for their parents, with all their attempts, at $3 (or now); in no line yet.
-- Caller: flows.rs.
with clock as materialized (
    select coalesce($3, clock_timestamp()) as now
),
revived as (
    delete from jobs.finished_jobs
     where id = any ($1)
    returning *
)
insert into jobs.jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, priority, max_attempts, state, kind, queue, args, tags,
    tenant_id, correlation_id, trace_parent, unique_key, limit_key, worker, attempts, flow_id)
select id, claim_no, clock.now, enqueued_at, claimed_at, priority, max_attempts, 'waiting', kind, queue, args, tags,
       tenant_id, correlation_id, trace_parent, unique_key, limit_key, worker, attempts, $2
  from revived, clock
returning id
