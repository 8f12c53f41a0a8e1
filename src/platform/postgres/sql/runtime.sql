-- What answering a tenant's messages needs to know of it. Called when what was read is a moment old.
select
    t.id,
    t.enabled,
    coalesce(t.current_plan_id, 'free') as plan,
    t.settings,
    (select string_agg(c.type, ',') from channels c where c."tenantId" = t.id and not c.enabled) as disabled_channels
from tenants t
where t.id = $1
