-- The statement that makes the index named $2 anew, written by the server; none if it is no index of a table beside the
-- named ones ($1) or the engine's. Called before it is run.
select format('reindex index concurrently %I.%I', n.nspname, i.relname)
from pg_class i
join pg_namespace n on n.oid = i.relnamespace
where i.relkind = 'i'
  and format('%I.%I', n.nspname, i.relname) = $2
  and (
      n.nspname = 'jobs'
      or n.oid in (select relnamespace from pg_class where relname = any ($1) and pg_table_is_visible(oid))
  )
