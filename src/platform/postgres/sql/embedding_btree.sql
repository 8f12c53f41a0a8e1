-- Indexes on chunks.embedding that no vector of 1024 dimensions fits into. Called by prepare.
select i.indexrelid::regclass::text
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_am m on m.oid = c.relam
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
where i.indrelid = to_regclass('chunks')
  and a.attname = 'embedding'
  and m.amname = 'btree'
