-- The first claimable time of each priority ($2) of queue $1 that lies more than $3 microseconds back, or that
-- moment itself: claims may start there. In the background, for it may walk dead rows. Caller: claim.rs.
with clock as materialized (
    select clock_timestamp() - $3 * interval '1 microsecond' as moment
)
select priority, coalesce((
        select j.run_at
          from jobs.jobs j
         where j.queue = $1
           and j.priority = wanted.priority
           and j.state in ('scheduled', 'available', 'retryable')
           and not j.governed
           and j.run_at < clock.moment
         order by j.run_at
         limit 1), clock.moment) as run_at
  from clock, unnest($2::smallint[]) as wanted (priority)
