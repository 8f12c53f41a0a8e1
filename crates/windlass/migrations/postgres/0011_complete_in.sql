-- Completes a job in its caller's transaction, in one call: locks its line and those the transaction has added jobs to,
-- moves it to the finished ones, lets the next of its line go, and drops its key. `outcome` is `completed`, with the
-- job that was let go if there is one; `lost`, if the lease is; or `flow`: it is a step, nothing has been done.
create function jobs.complete_in(
    completed uuid,
    lease bigint,
    its_result text,
    joined_tenants text[],
    joined_keys text[],
    out outcome text,
    out freed_queue text,
    out freed_priority smallint,
    out freed_run_at timestamptz
) returns record
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    now constant timestamptz := clock_timestamp();
    job jobs.jobs;
    locked int;
begin
    select j.* into job from jobs.jobs j where j.id = completed;
    if job.flow_id is not null then
        outcome := 'flow';
        return;
    end if;
    for locked in
        select jobs.line_lock(job.tenant_id, job.ordering_key) as line_lock
         where job.ordering_key is not null
         union
        select jobs.line_lock(tenant_id, ordering_key)
          from unnest(joined_tenants, joined_keys) as joined (tenant_id, ordering_key)
         order by line_lock
    loop
        perform pg_advisory_xact_lock(1785684851, locked);
    end loop;
    with ended as (
        delete from jobs.jobs j
         where j.id = completed
           and j.claim_no = lease
           and j.lease_expires_at is not null
           and j.flow_id is null
        returning j.*
    )
    insert into jobs.completed_jobs (
        id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
        state, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
        worker, progress, attempts, result)
    select id, claim_no, run_at, enqueued_at, claimed_at, now, priority, attempt, max_attempts, crashes,
           'completed', kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
           worker, progress, attempts, its_result::json
      from ended;
    if not found then
        outcome := 'lost';
        return;
    end if;
    outcome := 'completed';
    if job.ordering_key is not null and not exists (
            select
              from jobs.jobs h
             where h.ordering_key = job.ordering_key
               and coalesce(h.tenant_id, '') = coalesce(job.tenant_id, '')
               and h.state <> 'waiting') then
        update jobs.jobs
           set state = case when run_at > now then 'scheduled' else 'available' end
         where id = (
                select w.id
                  from jobs.jobs w
                 where w.ordering_key = job.ordering_key
                   and coalesce(w.tenant_id, '') = coalesce(job.tenant_id, '')
                   and w.state = 'waiting'
                 order by w.enqueued_at, w.id
                 limit 1)
        returning queue, priority, run_at
          into freed_queue, freed_priority, freed_run_at;
    end if;
    if job.unique_key is not null then
        -- Only tidies up: a key without window is free once its job is finished, dropped or not.
        delete from jobs.unique_keys
         where key = (
                select k.key
                  from jobs.unique_keys k
                 where k.key = 'unique' || chr(31) || job.kind || chr(31) || coalesce(job.tenant_id, '') || chr(31) || job.unique_key
                   and k.job_id = completed
                   and k.held_until is null
                   for update skip locked);
    end if;
end
$$;
