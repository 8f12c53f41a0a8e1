-- schema_exists: whether any migration was ever applied. Caller: migrate.rs.
select exists (
    select 1
    from sqlite_schema
    where type = 'table'
    and name = '_windlass_migrations'
);
