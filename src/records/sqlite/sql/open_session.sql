-- Notes who has signed in. Called when they do.
insert into sessions (digest, id, kind, identity, name, role, tenant, expires_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, cast(round(unixepoch('subsec') * 1000) as integer) + ?8)
