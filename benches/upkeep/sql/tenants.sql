-- $1 tenants.
insert into tenants (id, name, "updatedAt")
select 'tenant-' || n, 'Acme', now()
  from generate_series(0, $1 - 1) as n
