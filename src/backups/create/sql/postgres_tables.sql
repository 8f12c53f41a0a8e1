-- The tables that a dump carries data of, each with the statement that counts its rows, without those of tables
-- that inherit from it; partitions are tables, their parents hold no rows.
select
    format('%s.%s', n.nspname, c.relname) as table_name,
    format('select count(*) as row_count from only %I.%I', n.nspname, c.relname) as count_statement
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
order by 1
