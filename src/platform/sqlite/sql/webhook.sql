-- A webhook of a tenant. Called before it is told of something.
select id, url, headers, enabled
from webhooks
where "tenantId" = ?1
  and id = ?2
