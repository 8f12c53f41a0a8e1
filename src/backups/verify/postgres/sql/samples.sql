-- Of each table with a primary key its name and the statement that digests its first and last rows. A backup
-- runs them in the snapshot that is dumped, verification on what was restored: both must give the same.
select
    n.nspname || '.' || c.relname as name,
    format(
        'select coalesce(md5(string_agg(md5(t::text), '''' order by md5(t::text))), '''')'
        ' from ((select s from only %1$I.%2$I s order by %3$s limit 500)'
        ' union all (select s from only %1$I.%2$I s order by %4$s limit 500)) x(t)',
        n.nspname, c.relname,
        string_agg(format('%I', a.attname), ', ' order by k.position),
        string_agg(format('%I desc', a.attname), ', ' order by k.position)) as statement
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_index i on i.indrelid = c.oid and i.indisprimary
 cross join unnest(i.indkey::int2[]) with ordinality k(attnum, position)
  join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
 where c.relkind = 'r'
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%'
 group by n.nspname, c.relname
 order by 1;
