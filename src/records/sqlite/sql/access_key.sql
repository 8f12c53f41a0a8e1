-- The key that was shown, if it is good. Called for requests, some seconds apart for each key.
select
    id,
    name,
    role,
    tenant,
    created_by,
    created_at,
    expires_at,
    last_used_at,
    revoked_at
from access_keys
where digest = ?1
  and revoked_at is null
  and (expires_at is null or expires_at > cast(round(unixepoch('subsec') * 1000) as integer))
