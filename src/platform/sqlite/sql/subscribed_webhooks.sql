-- The webhooks of a tenant that want to be told of a kind of event. Called when one happens.
select id
from webhooks
where "tenantId" = ?1
  and enabled
  and json_valid(events)
  and exists (select 1 from json_each(webhooks.events) as wanted where wanted.value = ?2)
order by id
