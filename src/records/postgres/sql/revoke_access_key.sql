-- Ends a key by its id or name. Called by operators.
update jobs.access_keys
set revoked_at = now()
where revoked_at is null
  and (id = $1 or name = $2)
returning id
