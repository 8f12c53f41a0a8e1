-- schedule_keep: programs still have schedules ?1, a JSON array of names, at ?2. Caller: schedules.rs.
update job_schedules
set declared_at = ?2
where name in (select value from json_each(?1));
