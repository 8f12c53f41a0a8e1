-- ticks: up to ?3 ticks of schedule ?1 before ?2, the latest first, each with how its job stands or ended.
-- Caller: schedules.rs.
select
    t.fire_at, t.origin, t.outcome, t.fired_at, t.job_id, coalesce(j.state, t.state) as state, j.run_at
from job_ticks as t
left join jobs as j on j.id = t.job_id
where t.schedule = ?1
and t.fire_at < ?2
order by t.fire_at desc
limit ?3;
