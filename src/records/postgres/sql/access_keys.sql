-- Every key, the newest first. Called by operators.
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
order by id desc
