-- Leases up to $1 due jobs.
update windlass_bench.jobs
   set state = 'running',
       attempt = attempt + 1,
       claim_no = claim_no + 1,
       worker = 'bench',
       claimed_at = clock_timestamp(),
       lease_expires_at = clock_timestamp() + interval '30 seconds'
 where id = any (array (
        select id
          from windlass_bench.jobs
         where queue = 'default'
           and state in ('scheduled', 'available', 'retryable')
           and run_at <= clock_timestamp()
         order by priority, run_at, id
         limit $1
           for update skip locked))
returning id, claim_no, kind, args::text, attempt, tenant_id
