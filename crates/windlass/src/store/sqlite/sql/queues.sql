-- queues: which queues have unfinished jobs, found by stepping from name to name. Caller: read.rs.
with recursive claimable (queue) as (
    select min(queue)
    from jobs
    where (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    union all
    select (
        select min(jobs.queue)
        from jobs
        where (jobs.state = 'available' or jobs.state = 'scheduled' or jobs.state = 'retryable')
        and jobs.governed = 0
        and jobs.queue > claimable.queue
    )
    from claimable
    where claimable.queue is not null
),

governed (queue) as (
    select min(queue)
    from jobs
    where (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 1
    union all
    select (
        select min(jobs.queue)
        from jobs
        where (jobs.state = 'available' or jobs.state = 'scheduled' or jobs.state = 'retryable')
        and jobs.governed = 1
        and jobs.queue > governed.queue
    )
    from governed
    where governed.queue is not null
),

waiting (queue) as (
    select min(queue)
    from jobs
    where state = 'waiting'
    union all
    select (
        select min(jobs.queue)
        from jobs
        where jobs.state = 'waiting'
        and jobs.queue > waiting.queue
    )
    from waiting
    where waiting.queue is not null
)

select queue
from claimable
where queue is not null
union
select queue
from governed
where queue is not null
union
select queue
from waiting
where queue is not null
union
select queue
from jobs
where state = 'running'
order by queue;
