-- Makes a key, unless one of its name is there already. Called by operators.
insert into access_keys (id, name, role, tenant, digest, created_by, expires_at)
values (?1, ?2, ?3, ?4, ?5, ?6, cast(round(unixepoch('subsec') * 1000) as integer) + ?7)
on conflict do nothing
