-- Whether the type `vector` can be named, and could be made. Called by prepare on an empty database.
select
    to_regtype('vector') is not null,
    exists (select from pg_available_extensions where name = 'vector'),
    (
        select n.nspname::text
        from pg_extension e
        join pg_namespace n on n.oid = e.extnamespace
        where e.extname = 'vector'
    )
