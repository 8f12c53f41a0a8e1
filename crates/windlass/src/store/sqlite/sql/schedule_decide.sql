-- schedule_decide: schedule ?1 is decided until ?2. Caller: schedules.rs.
update job_schedules
set decided_until = max(decided_until, ?2)
where name = ?1;
