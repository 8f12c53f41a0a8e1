-- Which of the named tables there are. Called by prepare.
select name
from sqlite_schema
where type in ('table', 'view')
  and name in (select value from json_each(?1))
