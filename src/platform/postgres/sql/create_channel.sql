-- A new channel. Called by demos and tests: on a platform its dashboard makes them.
insert into channels (id, "tenantId", type, config, "createdAt", "updatedAt")
values ($1, $2, $3, $4, now() at time zone 'utc', now() at time zone 'utc')
