-- Makes a key, unless one of its name is there already. Called by operators.
insert into jobs.access_keys (id, name, role, tenant, digest, created_by, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 millisecond')
on conflict do nothing
