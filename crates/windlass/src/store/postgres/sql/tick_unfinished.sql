-- Unfinished jobs of the ticks of schedule $1: of the open ones, and, since an operator may have revived
-- a job that was noted as ended, of the latest. Caller: schedules.rs.
with latest as (
    select job_id
      from jobs.ticks
     where schedule = $1
     order by fire_at desc
     limit 20
),
made as (
    select job_id
      from latest
    union
    select job_id
      from jobs.ticks
     where schedule = $1
       and open
)
select j.id
  from made
  join jobs.jobs j on j.id = made.job_id
 order by j.id
