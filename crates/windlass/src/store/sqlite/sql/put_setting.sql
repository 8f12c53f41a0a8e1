-- put_setting: ?2 of space ?1 is ?3 as version ?4, at ?5. Caller: control.rs.
insert into job_settings (space, name, value, version, updated_at)
values (?1, ?2, ?3, ?4, ?5)
on conflict (space, name) do update
set
    value = excluded.value,
    version = excluded.version,
    updated_at = excluded.updated_at
returning space, name, value, version, updated_at;
