-- Up to $3 ticks of schedule $1 before $2, the latest first, each with how its job stands at $4 (or now), or
-- ended. Caller: schedules.rs.
select t.fire_at, t.origin, t.outcome, t.fired_at, t.job_id, coalesce(j.state, f.state, t.state), j.run_at,
       coalesce($4, clock_timestamp())
  from jobs.ticks t
  left join jobs.jobs j on j.id = t.job_id
  left join lateral (
        select e.state
          from jobs.finished_jobs e
         where e.id = t.job_id
           and j.id is null
         limit 1) as f on true
 where t.schedule = $1
   and ($2::timestamptz is null or t.fire_at < $2)
 order by t.fire_at desc
 limit $3
