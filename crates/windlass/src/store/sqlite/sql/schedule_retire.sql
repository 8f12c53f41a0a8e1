-- schedule_retire: at ?3 retires schedules other than ?1, a JSON array of names, that no program has had since ?2.
-- Caller: schedules.rs.
update job_schedules
set retired_at = ?3
where name not in (select value from json_each(?1))
and retired_at is null
and declared_at < ?2
returning name;
