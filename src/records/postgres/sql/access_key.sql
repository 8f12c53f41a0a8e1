-- The key that was shown, if it is good. Called for requests, some seconds apart for each key.
select
    id,
    name,
    role,
    tenant,
    created_by,
    (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from expires_at) * 1000)::bigint as expires_at,
    (extract(epoch from last_used_at) * 1000)::bigint as last_used_at,
    (extract(epoch from revoked_at) * 1000)::bigint as revoked_at
from jobs.access_keys
where digest = $1
  and revoked_at is null
  and (expires_at is null or expires_at > now())
