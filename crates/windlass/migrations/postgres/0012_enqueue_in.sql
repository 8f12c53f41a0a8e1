-- Adds one new job in its caller's transaction, in one call, and takes its unique key (`key`, held until the job ends, or
-- for `key_window` microseconds if that is longer). `held`, and nothing has been done, if somebody ever took the key: whether
-- it is still held is for the caller to see.
create function jobs.enqueue_in(
    id uuid,
    kind text,
    at timestamptz,
    delay bigint,
    queue text,
    priority smallint,
    max_attempts smallint,
    args text,
    tags text[],
    tenant_id text,
    correlation_id text,
    trace_parent text,
    ordering_key text,
    called_at timestamptz,
    unique_key text,
    governed boolean,
    limit_key text,
    key text,
    key_window bigint
) returns text
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    now constant timestamptz := coalesce(called_at, clock_timestamp());
    due constant timestamptz := least(
        greatest(coalesce(at, now + delay * interval '1 microsecond', now), now), '9999-12-31 23:59:59.999999+00');
begin
    if enqueue_in.key is not null then
        insert into jobs.unique_keys (key, job_id, held_until)
        values (enqueue_in.key, enqueue_in.id, now + enqueue_in.key_window * interval '1 microsecond')
            on conflict do nothing;
        if not found then
            return 'held';
        end if;
    end if;
    insert into jobs.jobs (
        id, kind, run_at, enqueued_at, state, queue, priority, max_attempts, args, tags,
        tenant_id, correlation_id, trace_parent, unique_key, ordering_key, governed, limit_key)
    values (
        enqueue_in.id, enqueue_in.kind, due, now,
        case when enqueue_in.ordering_key is not null then 'waiting' when due > now then 'scheduled' else 'available' end,
        enqueue_in.queue, enqueue_in.priority, enqueue_in.max_attempts, enqueue_in.args::json, enqueue_in.tags,
        enqueue_in.tenant_id, enqueue_in.correlation_id, enqueue_in.trace_parent, enqueue_in.unique_key,
        enqueue_in.ordering_key, enqueue_in.governed, enqueue_in.limit_key)
        on conflict do nothing;
    return case when found then 'inserted' else 'there' end;
end
$$;
