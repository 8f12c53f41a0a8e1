-- Extends the leases ($1, $2) by $3 microseconds from $4 (or now), and says of each whether it is held and
-- asked to stop. A row that someone else is changing right now is left for the next beat. Caller: leases.rs.
with clock as materialized (
    select coalesce($4, clock_timestamp()) as now
),
held as materialized (
    select j.id
      from unnest($1::uuid[], $2::bigint[]) as lease (id, claim_no)
      join jobs.jobs j on j.id = lease.id
       and j.claim_no = lease.claim_no
       and j.lease_expires_at is not null
       for update of j skip locked
),
extended as (
    update jobs.jobs
       set lease_expires_at = (select now from clock) + $3 * interval '1 microsecond'
     where id = any (array (select id from held))
    returning id
)
select lease.id, lease.claim_no, j.id is not null as held, j.cancel_requested_at is not null as asked
  from unnest($1::uuid[], $2::bigint[]) as lease (id, claim_no)
  left join jobs.jobs j on j.id = lease.id
   and j.claim_no = lease.claim_no
   and j.lease_expires_at is not null
