-- Microseconds until the next job of queue $1 falls due, from each priority's position ($2, $3) on, at
-- $4 (or now); no row if none waits for a time. Caller: claim.rs.
select greatest(0, extract(epoch from min(next.run_at) - coalesce($4, clock_timestamp())) * 1000000)::bigint
  from unnest($2::smallint[], $3::timestamptz[]) as position (priority, run_at)
 cross join lateral (
        select j.run_at
          from jobs.jobs j
         where j.queue = $1
           and j.priority = position.priority
           and j.state in ('scheduled', 'available', 'retryable')
           and not j.governed
           and j.run_at >= position.run_at
         order by j.run_at
         limit 1) as next
having count(*) > 0
