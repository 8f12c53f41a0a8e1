-- schedule: how schedule ?1 stands. Caller: schedules.rs.
select name, definition, decided_until, declared_at, retired_at, paused_at, paused_note
from job_schedules
where name = ?1;
