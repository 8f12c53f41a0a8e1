-- How each queue with unfinished jobs stands at $1 (or now), counting to $2 for each queue, priority and
-- side of now. Caller: read.rs.
with recursive clock as materialized (
    select coalesce($1, clock_timestamp()) as now
),
ready as (
    (select queue
       from jobs.jobs
      where state in ('scheduled', 'available', 'retryable')
        and not governed
      order by queue
      limit 1)
    union all
    select next.queue
      from ready
     cross join lateral (
            select j.queue
              from jobs.jobs j
             where j.state in ('scheduled', 'available', 'retryable')
               and not j.governed
               and j.queue > ready.queue
             order by j.queue
             limit 1) as next
),
governed as (
    (select queue
       from jobs.jobs
      where state in ('scheduled', 'available', 'retryable')
        and governed
      order by queue
      limit 1)
    union all
    select next.queue
      from governed
     cross join lateral (
            select j.queue
              from jobs.jobs j
             where j.state in ('scheduled', 'available', 'retryable')
               and j.governed
               and j.queue > governed.queue
             order by j.queue
             limit 1) as next
),
counted as (
    select ready.queue, 'available' as state, due.n, due.oldest, due.n >= $2 as capped
      from ready
     cross join generate_series(0, 9) as each (priority)
     cross join lateral (
            select count(*) as n, min(run_at) as oldest
              from (select j.run_at
                      from jobs.jobs j
                     where j.queue = ready.queue
                       and j.priority = each.priority
                       and j.state in ('scheduled', 'available', 'retryable')
                       and not j.governed
                       and j.run_at <= (select now from clock)
                     order by j.run_at
                     limit $2) as bounded) as due
    union all
    select ready.queue, later.state, later.n, null, later.n >= $2
      from ready
     cross join generate_series(0, 9) as each (priority)
     cross join lateral (
            select state, count(*) as n
              from (select j.state
                      from jobs.jobs j
                     where j.queue = ready.queue
                       and j.priority = each.priority
                       and j.state in ('scheduled', 'available', 'retryable')
                       and not j.governed
                       and j.run_at > (select now from clock)
                     order by j.run_at
                     limit $2) as bounded
             group by state) as later
    union all
    select governed.queue, stands.state, stands.n, stands.oldest, sum(stands.n) over (partition by governed.queue) >= $2
      from governed
     cross join lateral (
            select case when run_at <= (select now from clock) then 'available' else bounded.state end as state,
                   count(*) as n, min(run_at) filter (where run_at <= (select now from clock)) as oldest
              from (select j.state, j.run_at
                      from jobs.jobs j
                     where j.queue = governed.queue
                       and j.state in ('scheduled', 'available', 'retryable')
                       and j.governed
                     limit $2) as bounded
             group by 1) as stands
    union all
    select queue, 'waiting', count(*), null, sum(count(*)) over () >= $2
      from (select queue
              from jobs.jobs
             where state = 'waiting'
             limit $2) as bounded
     group by queue
    union all
    select queue, 'running', count(*), null, sum(count(*)) over () >= $2
      from (select queue
              from jobs.jobs
             where state = 'running'
             limit $2) as bounded
     group by queue
)
select queue,
       coalesce(sum(n) filter (where state = 'available'), 0)::bigint as available,
       coalesce(sum(n) filter (where state = 'scheduled'), 0)::bigint as scheduled,
       coalesce(sum(n) filter (where state = 'retryable'), 0)::bigint as retryable,
       coalesce(sum(n) filter (where state = 'waiting'), 0)::bigint as waiting,
       coalesce(sum(n) filter (where state = 'running'), 0)::bigint as running,
       bool_or(capped) as capped,
       min(oldest) as oldest_available_at
  from counted
 where n > 0
 group by queue
 order by queue
