-- enqueue: inserts the jobs of the array ?1, enqueued at ?2; leaves out ids that exist. Caller: enqueue.rs.
insert into jobs (
    id, kind, args, queue, priority, state, run_at, max_attempts, tags, tenant_id, correlation_id,
    trace_parent, unique_scope, ordering_key, limit_key, governed,
    enqueued_at
)
select
    unhex(value ->> 'id', '-'),
    value ->> 'kind',
    value ->> 'args',
    value ->> 'queue',
    value ->> 'priority',
    value ->> 'state',
    value ->> 'run_at',
    value ->> 'max_attempts',
    value ->> 'tags',
    value ->> 'tenant_id',
    value ->> 'correlation_id',
    value ->> 'trace_parent',
    value ->> 'unique_scope',
    value ->> 'ordering_key',
    value ->> 'limit_key',
    -- Which of them are is only looked at if any are, once for all jobs.
    case
        when not exists (select 1 from job_governed_queues) then 0
        else exists (select 1 from job_governed_queues where queue = value ->> 'queue')
    end,
    ?2
from jsonb_each(?1)
where true -- so that `on conflict` is not read as a join's
on conflict (id) do nothing;
