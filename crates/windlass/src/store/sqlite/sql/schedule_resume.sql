-- schedule_resume: paused schedule ?1 goes on, owing nothing for the time before ?2. Caller: schedules.rs.
update job_schedules
set
    paused_at = null,
    paused_note = null,
    decided_until = max(decided_until, ?2)
where name = ?1
and paused_at is not null;
