-- Moves running jobs ($1) that ended under their leases ($2) as cancelled or dead ($3) to the finished ones,
-- with the attempt ($4 outcome, $5 error, $6 kept at most), at $7 (or now). Caller: finish.rs.
with clock as materialized (
    select coalesce($7, clock_timestamp()) as now
),
ended as (
    delete from jobs.jobs j
     using unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[]) as lease (id, claim_no, state, outcome, error)
     where j.id = lease.id
       and j.claim_no = lease.claim_no
       and j.lease_expires_at is not null
    returning j.*, lease.state as ended_as, lease.outcome, lease.error
)
insert into jobs.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
    state, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key,
    worker, progress, attempts)
select id, claim_no, run_at, enqueued_at, claimed_at, clock.now, priority, attempt, max_attempts, crashes,
       ended_as, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key,
       worker, progress,
       jobs.with_attempt(attempts, attempt, claim_no, worker, claimed_at, clock.now, outcome, error::jsonb, $6)
  from ended, clock
returning id, claim_no, kind, tenant_id, unique_key, ordering_key
