-- A new tenant. Called by demos and tests: on a platform its own sign-up makes them.
insert into tenants (id, name, settings, "createdAt", "updatedAt")
values (?1, ?2, ?3, cast(round(unixepoch('subsec') * 1000) as integer), cast(round(unixepoch('subsec') * 1000) as integer))
