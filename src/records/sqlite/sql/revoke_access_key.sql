-- Ends a key by its id or name. Called by operators.
update access_keys
set revoked_at = cast(round(unixepoch('subsec') * 1000) as integer)
where revoked_at is null
  and (id = ?1 or name = ?2)
returning id
