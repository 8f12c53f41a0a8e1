-- schedule_pause: schedule ?1 is paused with note ?2 at ?3. Caller: schedules.rs.
update job_schedules
set
    paused_at = coalesce(paused_at, ?3),
    paused_note = ?2
where name = ?1;
