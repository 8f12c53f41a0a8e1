-- Locks keys ($1), adding those that are missing, and tells who took each last, at $2 (or now). Caller: keys.rs.
with clock as materialized (
    select coalesce($2, clock_timestamp()) as now
)
insert into jobs.unique_keys as k (key)
select key
  from unnest($1::text[]) as wanted (key)
 order by key
    on conflict (key) do update set key = excluded.key
returning key, job_id, held_until, digest, (select now from clock) as now
