-- Puts running jobs ($1) back under their leases ($2), in a state ($3), at a time ($4; null: the old one),
-- giving back attempts ($5), with the attempt ($6 outcome, $7 error, $8 kept at most), at $9 (or now). Not
-- those that were asked to stop: see set_aside. Caller: finish.rs.
with clock as materialized (
    select coalesce($9, clock_timestamp()) as now
)
update jobs.jobs j
   set state = lease.state,
       run_at = coalesce(lease.run_at, j.run_at),
       attempt = j.attempt - lease.given_back,
       lease_expires_at = null,
       attempts = jobs.with_attempt(
           j.attempts, j.attempt, j.claim_no, j.worker, j.claimed_at, clock.now, lease.outcome, lease.error::jsonb, $8)
  from clock,
       unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::smallint[], $6::text[], $7::text[])
       as lease (id, claim_no, state, run_at, given_back, outcome, error)
 where j.id = lease.id
   and j.claim_no = lease.claim_no
   and j.lease_expires_at is not null
   and j.cancel_requested_at is null
returning j.id, j.claim_no, j.queue, j.priority, j.run_at
