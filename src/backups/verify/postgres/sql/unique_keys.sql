-- Of each unique index its name and the statement that counts the keys that stand twice in its table. It is
-- run with index scans off: the table is asked, not the index.
select
    format('%s of %s', i.indexrelid::regclass, i.indrelid::regclass) as name,
    format(
        'select count(*) from (select from only %s where %s group by %s having count(*) > 1) twice',
        i.indrelid::regclass,
        concat_ws(
            ' and ',
            '(' || coalesce(pg_get_expr(i.indpred, i.indrelid), 'true') || ')',
            case
                when not i.indnullsnotdistinct then string_agg(
                    format('(%s) is not null', pg_get_indexdef(i.indexrelid, k::int, false)), ' and ' order by k)
            end),
        string_agg(pg_get_indexdef(i.indexrelid, k::int, false), ', ' order by k)) as statement
  from pg_index i
  join pg_class c on c.oid = i.indrelid
  join pg_namespace n on n.oid = c.relnamespace
 cross join generate_series(1, i.indnkeyatts) k
 where i.indisunique
   and i.indisvalid
   and c.relkind in ('r', 'm')
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%'
 group by i.indexrelid, i.indrelid, i.indpred, i.indnullsnotdistinct
 order by 1;
