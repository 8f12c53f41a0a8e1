-- Schedule $1 is decided until $2. Caller: schedules.rs.
update jobs.schedules
   set decided_until = greatest(decided_until, $2)
 where name = $1
