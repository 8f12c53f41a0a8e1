-- Leases up to $3 due jobs of queue $1 to worker $2 for $4 microseconds at $7 (or now). Caller: claim.rs.
-- Each priority is read from its remembered position ($5, $6) on; priorities come in order, and no
-- more rows are locked than are taken. `= any (array (..))`, not `in (..)`: that one scans the table.
with clock as materialized (
    select coalesce($7, clock_timestamp()) as now
)
update jobs.jobs
   set state = 'running',
       attempt = attempt + 1,
       claim_no = claim_no + 1,
       worker = $2,
       claimed_at = (select now from clock),
       lease_expires_at = (select now from clock) + $4 * interval '1 microsecond',
       cancel_requested_at = null
 where id = any (array (
        select due.id
          from unnest($5::smallint[], $6::timestamptz[]) as position (priority, run_at)
         cross join lateral (
                select j.id
                  from jobs.jobs j
                 where j.queue = $1
                   and j.priority = position.priority
                   and j.state in ('scheduled', 'available', 'retryable')
                   and not j.governed
                   and j.run_at >= position.run_at
                   and j.run_at <= (select now from clock)
                 order by j.run_at, j.id
                 limit $3
                   for update skip locked) as due
         limit $3))
returning id, kind, args::text, queue, priority, run_at, attempt, max_attempts, crashes, claim_no,
          tenant_id, correlation_id, trace_parent, ordering_key, enqueued_at, claimed_at, checkpoint::text
