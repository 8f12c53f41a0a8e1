-- Which of the named tables the search path leads to. Called by prepare.
select c.relname::text
from pg_class c
where c.relname = any ($1)
  and c.relkind in ('r', 'p', 'v', 'f')
  and pg_table_is_visible(c.oid)
