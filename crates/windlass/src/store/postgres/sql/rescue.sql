-- Takes back those of the jobs $1 whose lease ran out before $2 (or now): cancelled if that was asked for, dead
-- with its crash number $3, otherwise available. With the attempt ($4 error, $5 kept at most). Their
-- lines are locked. Caller: leases.rs.
with clock as materialized (
    select coalesce($2, clock_timestamp()) as now
),
lost as materialized (
    select id, cancel_requested_at is not null as cancelled, crashes + 1 >= $3 as dead
      from jobs.jobs
     where id = any ($1)
       and lease_expires_at < (select now from clock)
       for update skip locked
),
ended as (
    delete from jobs.jobs j
     using lost
     where j.id = lost.id
       and (lost.cancelled or lost.dead)
    returning j.*, case when lost.cancelled then 'cancelled' else 'dead' end as ended_as
),
set_aside as (
    insert into jobs.finished_jobs (
        id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
        state, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
        worker, progress, attempts)
    select id, claim_no, run_at, enqueued_at, claimed_at, clock.now, priority, attempt - 1, max_attempts, crashes + 1,
           ended_as, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
           worker, progress,
           jobs.with_attempt(attempts, attempt, claim_no, worker, claimed_at, clock.now, 'crashed', $4::text::jsonb, $5)
      from ended, clock
    returning id, kind, queue, priority, run_at, worker, crashes, state, tenant_id, ordering_key
),
revived as (
    update jobs.jobs j
       set state = 'available',
           run_at = clock.now,
           attempt = j.attempt - 1,
           crashes = j.crashes + 1,
           lease_expires_at = null,
           attempts = jobs.with_attempt(
               j.attempts, j.attempt, j.claim_no, j.worker, j.claimed_at, clock.now, 'crashed', $4::text::jsonb, $5)
      from lost, clock
     where j.id = lost.id
       and not (lost.cancelled or lost.dead)
    returning j.id, j.kind, j.queue, j.priority, j.run_at, j.worker, j.crashes, j.state, j.tenant_id, j.ordering_key
)
select * from set_aside
union all
select * from revived
