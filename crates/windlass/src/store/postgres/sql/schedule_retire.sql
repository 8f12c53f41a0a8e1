-- Retires schedules other than $1 that no program has had for $2 microseconds, at $3 (or now). Caller: schedules.rs.
update jobs.schedules
   set retired_at = coalesce($3, clock_timestamp())
 where name <> all($1::text[])
   and retired_at is null
   and declared_at < coalesce($3, clock_timestamp()) - $2 * interval '1 microsecond'
returning name
