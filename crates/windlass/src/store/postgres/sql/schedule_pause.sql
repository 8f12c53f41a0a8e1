-- Pauses schedule $1 with note $2, at $3 (or now). Caller: schedules.rs.
update jobs.schedules
   set paused_at = coalesce(paused_at, $3, clock_timestamp()),
       paused_note = $2
 where name = $1
