-- What earlier attempts to make the index named $2 anew left behind, and the statements that drop it, written by the
-- server: indexes of the same table that queries may not use, whose names are the same but for the end that the server
-- gives them. It shortens a long name for it. Called before the index is made anew.
select
    format('%I.%I', n.nspname, left_over.relname) as name,
    format('drop index concurrently if exists %I.%I', n.nspname, left_over.relname) as statement
from pg_class i
join pg_namespace n on n.oid = i.relnamespace
join pg_index x on x.indexrelid = i.oid
join pg_index y on y.indrelid = x.indrelid and not y.indisvalid and y.indexrelid <> i.oid
join pg_class left_over on left_over.oid = y.indexrelid and left_over.relnamespace = n.oid
cross join lateral (select regexp_replace(left_over.relname, '_cc(new|old)[0-9]*$', '') as stem) as cut
where i.relkind = 'i'
  and format('%I.%I', n.nspname, i.relname) = $2
  and (
      n.nspname = 'jobs'
      or n.oid in (select relnamespace from pg_class where relname = any ($1) and pg_table_is_visible(oid))
  )
  and cut.stem <> left_over.relname
  and (cut.stem = i.relname or (starts_with(i.relname, cut.stem) and octet_length(left_over.relname::text) = 63))
