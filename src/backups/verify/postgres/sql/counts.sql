-- Of each table its name and the statement that counts its rows. Verification runs them on what was restored.
select
    n.nspname || '.' || c.relname as name,
    format('select count(*) from %I.%I', n.nspname, c.relname) as statement
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm', 'p')
   and n.nspname <> 'information_schema'
   and n.nspname not like 'pg\_%'
 order by 1;
