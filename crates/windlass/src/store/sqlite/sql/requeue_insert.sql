-- requeue_insert: a finished job ?1 is unfinished again in state ?2, due at ?3, with all its attempts.
-- requeue_delete follows. Caller: operate.rs.
insert into jobs (
    id, kind, args, queue, priority, state, run_at, attempt, max_attempts, crashes, claim_no, tags,
    tenant_id, correlation_id, trace_parent, unique_scope, ordering_key, enqueued_at, claimed_at,
    worker, attempts
)
select
    id, kind, args, queue, priority, ?2, ?3, 0, max_attempts, 0, claim_no, tags, tenant_id,
    correlation_id, trace_parent, unique_scope, ordering_key, enqueued_at, claimed_at, worker,
    attempts
from finished_jobs
where id = ?1;
