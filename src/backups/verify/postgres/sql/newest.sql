-- Of each column that says when a row was written its name and the statement that finds the newest, in
-- microseconds since 1970.
select
    format('%s.%s', c.oid::regclass, a.attname) as name,
    format(
        'select (extract(epoch from max(%I)) * 1000000)::bigint from %s', a.attname, c.oid::regclass) as statement
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid
 where c.relkind in ('r', 'p')
   and not c.relispartition
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%'
   and not a.attisdropped
   and a.atttypid in ('timestamp'::regtype, 'timestamptz'::regtype)
   and a.attname in ('createdAt', 'created_at', 'updatedAt', 'updated_at', 'enqueued_at', 'claimed_at', 'finished_at')
 order by 1;
