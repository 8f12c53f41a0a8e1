-- How many tables a database has of its own.
select count(*)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'm')
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%';
