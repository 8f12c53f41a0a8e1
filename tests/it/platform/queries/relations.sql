-- Everything a migration could make or change, as text. Called by tests.
select c.relname || ' ' || c.relkind::text || ' ' || coalesce(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), '')
from pg_class c
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace
union all
select 'extension ' || extname
from pg_extension
order by 1
