-- tick_unfinished: unfinished jobs of the ticks of schedule ?1: of the open ones, and, since an operator may have
-- revived a job that was noted as ended, of the latest. Caller: schedules.rs.
with latest as (
    select job_id
    from job_ticks
    where schedule = ?1
    order by fire_at desc
    limit 20
),
made as (
    select job_id
    from latest
    union
    select job_id
    from job_ticks
    where schedule = ?1
    and open
)
select jobs.id as job_id
from made
join jobs on jobs.id = made.job_id
where jobs.finished_at is null
order by jobs.id;
