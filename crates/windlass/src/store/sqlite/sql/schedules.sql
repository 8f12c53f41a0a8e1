-- schedules: every schedule and how it stands. Caller: schedules.rs.
select name, definition, decided_until, declared_at, retired_at, paused_at, paused_note
from job_schedules
order by name;
