-- One event. Called before a webhook is told of it.
select id, type as kind, data, (extract(epoch from "timestamp") * 1000)::bigint as at
from events
where "tenantId" = $1
  and id = $2
