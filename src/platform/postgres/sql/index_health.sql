-- How the indexes of the tables beside the named ones ($1) and of the engine's stand. How much of a btree is air is
-- reckoned from its rows and the width of what it holds: entries of 8 bytes and the values, each with a pointer of 4, on
-- pages that are filled to nine tenths. Called by the weekly check and by jobctl.
with indexes as (
    select
        i.oid,
        format('%I.%I', n.nspname, i.relname) as name,
        t.oid as table_oid,
        format('%I.%I', tn.nspname, t.relname) as table_name,
        am.amname::text as method,
        pg_relation_size(i.oid) as bytes,
        x.indisvalid as valid,
        not x.indisvalid and i.relname ~ '_cc(new|old)[0-9]*$' as leftover,
        i.reltuples,
        i.relpages,
        i.relname,
        n.nspname,
        t.relname as of_table,
        tn.nspname as of_schema,
        x.indkey
    from pg_index x
    join pg_class i on i.oid = x.indexrelid
    join pg_namespace n on n.oid = i.relnamespace
    join pg_class t on t.oid = x.indrelid
    join pg_namespace tn on tn.oid = t.relnamespace
    join pg_am am on am.oid = i.relam
    where i.relkind = 'i'
      and t.relkind = 'r'
      and (
          n.nspname = 'jobs'
          or n.oid in (select relnamespace from pg_class where relname = any ($1) and pg_table_is_visible(oid))
      )
),
widths as (
    select i.oid, sum(s.avg_width) as width, count(s.avg_width) = count(*) as known
    from indexes i
    join pg_attribute a on a.attrelid = i.oid and a.attnum > 0
    left join pg_attribute of
        on of.attrelid = i.table_oid and of.attnum = i.indkey[a.attnum - 1] and of.attnum > 0
    left join pg_stats s
        on s.schemaname = i.of_schema
        and s.tablename = case when of.attname is null then i.relname else i.of_table end
        and s.attname = coalesce(of.attname, a.attname)
    group by i.oid
)
select
    i.name,
    i.table_name as "table",
    i.method,
    i.bytes,
    i.valid,
    i.leftover,
    case
        when i.method = 'btree' and i.valid and w.known and i.reltuples > 0 and i.relpages > 1
            then greatest(0, 1 - ceil(i.reltuples * (ceil((8 + w.width) / 8.0) * 8 + 4) / (8152 * 0.9)) / i.relpages)::float8
    end as bloat
from indexes i
join widths w on w.oid = i.oid
order by i.name
