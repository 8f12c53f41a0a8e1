-- Leases due jobs of queue $1 to worker $2 for $3 microseconds at $4: of each cell ($5 tenants, $6 kinds, $7 keys,
-- $8 priorities), from its first job's time ($9) on, so many ($10). Others may have
-- ended their attempts at these jobs since $4: the next one does not begin before. Caller: governed.rs.
update jobs.jobs
   set state = 'running',
       attempt = attempt + 1,
       claim_no = claim_no + 1,
       worker = $2,
       claimed_at = greatest($4, (attempts -> -1 ->> 'ended_at')::timestamptz),
       lease_expires_at = $4 + $3 * interval '1 microsecond',
       cancel_requested_at = null
 where id = any (array (
        select due.id
          from unnest($5::text[], $6::text[], $7::text[], $8::smallint[], $9::timestamptz[], $10::bigint[])
               as cell (tenant, kind, key, priority, run_at, jobs)
         cross join lateral (
                select j.id
                  from jobs.jobs j
                 where j.queue = $1
                   and j.governed
                   and j.state in ('scheduled', 'available', 'retryable')
                   and coalesce(j.tenant_id, '') = cell.tenant
                   and j.kind = cell.kind
                   and coalesce(j.limit_key, j.tenant_id, '') = cell.key
                   and j.priority = cell.priority
                   and j.run_at >= cell.run_at
                   and j.run_at <= $4
                 order by j.run_at, j.id
                 limit cell.jobs
                   for update skip locked) as due))
returning id, kind, args::text, queue, priority, run_at, attempt, max_attempts, crashes, claim_no,
          tenant_id, correlation_id, trace_parent, ordering_key, enqueued_at, claimed_at, checkpoint::text,
          coalesce(limit_key, tenant_id, '') as key
