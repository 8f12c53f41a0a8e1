-- The columns of the named tables, as "table.column". Called by prepare.
select t.name || '.' || c.name
from sqlite_schema t
join pragma_table_info(t.name) c
where t.type in ('table', 'view')
  and t.name in (select value from json_each(?1))
