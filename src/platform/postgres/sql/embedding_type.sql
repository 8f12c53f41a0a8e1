-- The declared type of chunks.embedding, such as vector(1024). Called by prepare.
select format_type(a.atttypid, a.atttypmod)
from pg_attribute a
where a.attrelid = to_regclass('chunks')
  and a.attname = 'embedding'
