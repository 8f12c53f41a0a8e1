-- Notes how the jobs of up to $1 open ticks ended. Caller: schedules.rs.
with open as (
    select schedule, fire_at, job_id
      from jobs.ticks
     where open
     order by schedule, fire_at
     limit $1
),
ended as (
    select o.schedule, o.fire_at, f.state
      from open o
      left join lateral (
            select e.state
              from jobs.finished_jobs e
             where e.id = o.job_id
             limit 1) as f on true
     where not exists (
            select
              from jobs.jobs j
             where j.id = o.job_id)
)
update jobs.ticks t
   set open = false,
       state = ended.state
  from ended
 where t.schedule = ended.schedule
   and t.fire_at = ended.fire_at
