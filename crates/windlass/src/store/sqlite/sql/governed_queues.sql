-- governed_queues: queues that are governed or have governed jobs, by name. Caller: governed.rs.
with recursive ready (queue) as (
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
        and jobs.queue > ready.queue
    )
    from ready
    where ready.queue is not null
)

select queue
from job_governed_queues
union
select queue
from ready
where queue is not null
order by queue;
