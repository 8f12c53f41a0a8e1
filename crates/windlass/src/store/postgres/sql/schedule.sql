-- How schedule $1 stands, locked: whoever fires its ticks does so one after another. Caller: schedules.rs.
select name, definition::text, decided_until, declared_at, retired_at, paused_at, paused_note
  from jobs.schedules
 where name = $1
   for update
