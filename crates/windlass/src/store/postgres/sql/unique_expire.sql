-- Drops up to $2 keys whose window ended before $1 (or now), unless their job is unfinished. Caller: maintain.rs.
with clock as materialized (
    select coalesce($1, clock_timestamp()) as now
),
over as materialized (
    select key, digest is null and exists (select from jobs.jobs j where j.id = k.job_id) as unfinished
      from jobs.unique_keys k
     where held_until <= (select now from clock)
     limit $2
       for update skip locked
),
kept as (
    update jobs.unique_keys
       set held_until = null
     where key = any (array (select key from over where unfinished))
)
delete from jobs.unique_keys
 where key = any (array (select key from over where not unfinished))
