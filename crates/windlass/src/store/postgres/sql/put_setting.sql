-- Sets $2 of space $1 to $3 as version $4, at $5 (or now). Caller: control.rs.
insert into jobs.settings (space, name, value, version, updated_at)
values ($1, $2, $3::json, $4, coalesce($5, clock_timestamp()))
    on conflict (space, name) do update
   set value = excluded.value,
       version = excluded.version,
       updated_at = excluded.updated_at
returning space, name, value::text, version, updated_at
