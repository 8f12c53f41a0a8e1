-- Programs still have schedules $1, at $2 (or now). Caller: schedules.rs.
update jobs.schedules
   set declared_at = coalesce($2, clock_timestamp())
 where name = any($1::text[])
