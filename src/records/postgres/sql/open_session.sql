-- Notes who has signed in. Called when they do.
insert into jobs.sessions (digest, id, kind, identity, name, role, tenant, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 millisecond')
