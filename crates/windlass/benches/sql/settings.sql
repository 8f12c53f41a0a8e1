-- What the figures depend on. Caller: store_postgres.rs.
select name, setting || coalesce(' ' || unit, '')
  from pg_settings
 where name in ('server_version', 'shared_buffers', 'max_connections', 'synchronous_commit', 'fsync')
 order by name
