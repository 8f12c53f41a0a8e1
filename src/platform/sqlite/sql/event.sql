-- One event. Called before a webhook is told of it.
select id, type as kind, data, "timestamp" as at
from events
where "tenantId" = ?1
  and id = ?2
