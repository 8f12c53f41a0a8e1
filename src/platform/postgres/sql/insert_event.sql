-- Something that happened, and the webhooks of its tenant that want to be told of it; nothing if it was recorded under
-- that id, one row without a webhook if nobody wants to be told. Called by jobs that announce it.
with recorded as (
    insert into events (id, "tenantId", type, data, "timestamp")
    values ($1, $2, $3, $4, $5)
    on conflict do nothing
    returning id
)
select w.id
from recorded
left join webhooks w on w."tenantId" = $2 and w.enabled and $3 = any(w.events)
order by w.id
