-- Ends the jobs $1, which do not run, as cancelled at $2 (or now). Callers: steps.rs, flows.rs.
with ended as (
    delete from jobs.jobs
     where id = any ($1)
    returning *
)
insert into jobs.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
    state, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
    worker, progress, attempts)
select id, claim_no, run_at, enqueued_at, claimed_at, coalesce($2, clock_timestamp()), priority, attempt, max_attempts, crashes,
       'cancelled', kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
       worker, progress, attempts
  from ended
returning tenant_id, ordering_key
