-- A new tenant. Called by demos and tests: on a platform its own sign-up makes them.
insert into tenants (id, name, settings, "createdAt", "updatedAt")
values ($1, $2, $3, now() at time zone 'utc', now() at time zone 'utc')
