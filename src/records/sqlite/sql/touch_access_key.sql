-- Notes that a key is used, at most once a minute. Called when a key is checked.
update access_keys
set last_used_at = cast(round(unixepoch('subsec') * 1000) as integer)
where id = ?1
  and (last_used_at is null or last_used_at < cast(round(unixepoch('subsec') * 1000) as integer) - 60000)
