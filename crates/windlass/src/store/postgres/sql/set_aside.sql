-- Moves running jobs ($1) that ended under their leases ($2) as cancelled or dead ($3) to the finished ones,
-- giving back attempts ($4), with the attempt ($5 outcome, $6 error, $7 kept at most), at $8 (or now). Only those
-- that were asked to stop if $9. Caller: finish.rs.
with clock as materialized (
    select coalesce($8, clock_timestamp()) as now
),
ended as (
    delete from jobs.jobs j
     using unnest($1::uuid[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::text[])
           as lease (id, claim_no, state, given_back, outcome, error)
     where j.id = lease.id
       and j.claim_no = lease.claim_no
       and j.lease_expires_at is not null
       and (not $9 or j.cancel_requested_at is not null)
    returning j.*, lease.state as ended_as, lease.given_back, lease.outcome, lease.error
)
insert into jobs.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
    state, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
    worker, progress, attempts)
select id, claim_no, run_at, enqueued_at, claimed_at, clock.now, priority, attempt - given_back, max_attempts, crashes,
       ended_as, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
       worker, progress,
       jobs.with_attempt(attempts, attempt, claim_no, worker, claimed_at, clock.now, outcome, error::jsonb, $7)
  from ended, clock
returning id, claim_no, kind, tenant_id, unique_key, ordering_key
