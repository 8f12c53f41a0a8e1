-- Every tenant, and whether it is enabled. Row security may hide them from a role that acts for one tenant at a
-- time: then those that have keys or figures, which it does not cover. Called once per aggregation.
with recursive measured as (
    (select tenant_id from message_metrics order by tenant_id limit 1)
    union all
    select (select m.tenant_id from message_metrics m where m.tenant_id > measured.tenant_id order by m.tenant_id limit 1)
    from measured
    where measured.tenant_id is not null
),
known as (
    select id from tenants
    union
    select "tenantId" from tenant_api_keys
    union
    select tenant_id from measured where tenant_id is not null
)
select known.id, coalesce(t.enabled, true) as enabled
from known
left join tenants t on t.id = known.id
order by known.id
