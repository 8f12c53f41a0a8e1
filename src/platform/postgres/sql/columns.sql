-- The columns of the named tables, as "table.column". Called by prepare.
select c.relname || '.' || a.attname
from pg_class c
join pg_attribute a on a.attrelid = c.oid
where c.relname = any ($1)
  and pg_table_is_visible(c.oid)
  and a.attnum > 0
  and not a.attisdropped
