-- Makes finished job $1 available with all its attempts, at $2 (or now); as `waiting` if it is ordered: its line
-- lets it go at commit. Caller: operate.rs.
with clock as materialized (
    select coalesce($2, clock_timestamp()) as now
),
revived as (
    delete from jobs.finished_jobs
     where id = $1
    returning *
)
insert into jobs.jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, priority, max_attempts, state, kind, queue, args, tags,
    tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key, worker, attempts)
select id, claim_no, clock.now, enqueued_at, claimed_at, priority, max_attempts,
       case when ordering_key is null then 'available' else 'waiting' end, kind, queue, args, tags,
       tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key, worker, attempts
  from revived, clock
returning queue, priority, run_at
