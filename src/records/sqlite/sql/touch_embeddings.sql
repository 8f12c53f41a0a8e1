-- Notes that vectors were used, once a day. Called after they were read.
update embedding_cache
set used_at = cast(round(unixepoch('subsec') * 1000) as integer)
where tenant_id = ?1
  and model = ?2
  and dimensions = ?3
  and content_hash in (select unhex(value) from json_each(?4))
  and used_at < cast(round(unixepoch('subsec') * 1000) as integer) - 86400000
