-- Gives role $1 to holder $2 for $3 microseconds at $4 (or now), unless another's term runs. Caller: processes.rs.
insert into jobs.leaders as l (role, holder, until)
values ($1, $2, coalesce($4, clock_timestamp()) + $3 * interval '1 microsecond')
    on conflict (role) do update
   set holder = excluded.holder,
       until = excluded.until
 where l.holder = excluded.holder
    or l.until <= coalesce($4, clock_timestamp())
