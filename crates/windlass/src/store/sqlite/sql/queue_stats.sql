-- queue_stats: how queue ?1 stands at ?2, counting at most ?3 jobs of each sort. Caller: read.rs.
with due as (
    select run_at
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    and priority in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    and run_at <= ?2
    limit ?3
),

later as (
    select state
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    and priority in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    and run_at > ?2
    limit ?3
),

governed as (
    select
        run_at,
        iif(run_at <= ?2, 'available', state) as state
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 1
    limit ?3
),

blocked as (
    select 1
    from jobs
    where queue = ?1
    and state = 'waiting'
    limit ?3
),

leased as (
    select 1
    from jobs
    where queue = ?1
    and state = 'running'
    limit ?3
),

oldest as (
    select min((
        select min(jobs.run_at)
        from jobs
        where jobs.queue = ?1
        and (jobs.state = 'available' or jobs.state = 'scheduled' or jobs.state = 'retryable')
        and jobs.governed = 0
        and jobs.priority = priorities.value
        and jobs.run_at <= ?2
    )) as run_at
    from json_each('[0,1,2,3,4,5,6,7,8,9]') as priorities
)

select
    (select count(*) from due) as due,
    (select count(*) from later) as later,
    (select count(*) from later where state = 'scheduled') as scheduled,
    (select count(*) from later where state = 'retryable') as retryable,
    (select count(*) from governed) as governed,
    (select count(*) from governed where state = 'available') as governed_due,
    (select count(*) from governed where state = 'scheduled') as governed_scheduled,
    (select count(*) from governed where state = 'retryable') as governed_retryable,
    (select min(run_at) from governed where state = 'available') as governed_oldest,
    (select count(*) from blocked) as waiting,
    (select count(*) from leased) as running,
    (select run_at from oldest) as oldest_available_at;
