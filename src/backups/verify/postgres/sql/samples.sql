-- Of each table its name, the statement that digests all its rows, the one that digests its first and last rows (if
-- it has a primary key to tell them by), and whether it is small enough for the former. A backup runs them in the
-- snapshot that is dumped, verification on what was restored: both must give the same.
select
    n.nspname || '.' || c.relname as name,
    format(
        'select count(*) || '':'' || coalesce(sum((''x'' || left(md5(the_row::text), 16))::bit(64)::bigint), 0)'
        ' from only %I.%I the_row',
        n.nspname, c.relname) as whole,
    case when count(k.attnum) > 0 then format(
        'select coalesce(md5(string_agg(md5(t::text), '''' order by md5(t::text))), '''')'
        ' from ((select s from only %1$I.%2$I s order by %3$s limit 500)'
        ' union all (select s from only %1$I.%2$I s order by %4$s limit 500)) x(t)',
        n.nspname, c.relname,
        string_agg(quote_ident(a.attname), ', ' order by k.position),
        string_agg(quote_ident(a.attname) || ' desc', ', ' order by k.position)) end as sample,
    pg_table_size(c.oid) <= 67108864 as is_small
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_index i on i.indrelid = c.oid and i.indisprimary
  left join lateral unnest(i.indkey::int2[]) with ordinality k(attnum, position) on true
  left join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
 where c.relkind = 'r'
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%'
 group by c.oid, n.nspname, c.relname
 order by 1;
