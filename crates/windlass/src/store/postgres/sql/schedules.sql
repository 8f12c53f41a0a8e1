-- Every schedule and how it stands. Caller: schedules.rs.
select name, definition::text, decided_until, declared_at, retired_at, paused_at, paused_note
  from jobs.schedules
 order by name
