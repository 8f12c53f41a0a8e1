-- The tables that a dump carries data of; partitions are, their parents hold no rows.
select
    n.nspname::text as schema_name,
    c.relname::text as table_name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r'
    and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname not like 'pg\_toast%'
    and not exists (
        select 1
        from pg_depend d
        where d.classid = 'pg_class'::regclass
            and d.objid = c.oid
            and d.deptype = 'e'
    )
order by 1, 2
