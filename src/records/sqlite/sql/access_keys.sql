-- Every key, the newest first. Called by operators.
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
order by id desc
