-- finish_insert: the jobs of the array ?1 of [job, state, result, attempt, crashes, attempts] are finished at ?2;
-- what is null stays as it was. finish_delete follows. Caller: finish.rs.
insert into finished_jobs (
    id, kind, args, queue, priority, state, run_at, attempt, max_attempts, crashes, claim_no, tags,
    tenant_id, correlation_id, trace_parent, unique_scope, ordering_key, enqueued_at, claimed_at,
    worker, progress, attempts, result, finished_at
)
select
    jobs.id, kind, args, queue, priority, ended.value ->> 1, run_at,
    coalesce(ended.value ->> 3, attempt), max_attempts, coalesce(ended.value ->> 4, crashes),
    claim_no, tags, tenant_id, correlation_id, trace_parent, unique_scope, ordering_key, enqueued_at,
    claimed_at, worker, progress, coalesce(ended.value ->> 5, attempts), ended.value ->> 2, ?2
from json_each(?1) as ended
join jobs on jobs.id = unhex(ended.value ->> 0, '-');
