-- The webhooks of a tenant that want to be told of a kind of event. Called when one happens.
select id
from webhooks
where "tenantId" = $1
  and enabled
  and $2 = any(events)
order by id
