-- Moves jobs ($1) that succeeded under their leases ($2) to the finished ones, with their results ($3), at
-- $4 (or now). Ordered jobs and steps of flows only if $5: their lines and flows must be locked first. Caller: finish.rs.
with ended as (
    delete from jobs.jobs j
     using unnest($1::uuid[], $2::bigint[], $3::text[]) as lease (id, claim_no, result)
     where j.id = lease.id
       and j.claim_no = lease.claim_no
       and j.lease_expires_at is not null
       and ($5 or (j.ordering_key is null and j.flow_id is null))
    returning j.*, lease.result
),
clock as materialized (
    select coalesce($4, clock_timestamp()) as now
)
insert into jobs.completed_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
    state, kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
    worker, progress, attempts, result)
select id, claim_no, run_at, enqueued_at, claimed_at, clock.now, priority, attempt, max_attempts, crashes,
       'completed', kind, queue, args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, limit_key,
       worker, progress, attempts, result::json
  from ended, clock
returning id, claim_no, kind, tenant_id, unique_key, ordering_key
