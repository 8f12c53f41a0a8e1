-- Queues that are governed or have governed jobs, by name; the latter are found by stepping from one to
-- the next. Caller: governed.rs.
with recursive ready as (
    (select queue
       from jobs.jobs
      where state in ('scheduled', 'available', 'retryable')
        and governed
      order by queue
      limit 1)
    union all
    select next.queue
      from ready
     cross join lateral (
            select j.queue
              from jobs.jobs j
             where j.state in ('scheduled', 'available', 'retryable')
               and j.governed
               and j.queue > ready.queue
             order by j.queue
             limit 1) as next
)
select queue
  from jobs.governed_queues
 union
select queue
  from ready
 order by queue
