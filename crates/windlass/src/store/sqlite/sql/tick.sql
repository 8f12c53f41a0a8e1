-- tick: what became of the tick of schedule ?1 at ?2, if there was one. Caller: schedules.rs.
select outcome
from job_ticks
where schedule = ?1
and fire_at = ?2;
