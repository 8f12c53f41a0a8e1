-- Lets paused schedule $1 go on, owing nothing for the time before $2 (or now). Caller: schedules.rs.
update jobs.schedules
   set paused_at = null,
       paused_note = null,
       decided_until = greatest(decided_until, coalesce($2, clock_timestamp()))
 where name = $1
   and paused_at is not null
