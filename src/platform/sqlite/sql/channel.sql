-- A tenant's channel of one type; there is at most one. Called before anything is sent.
select id, config, enabled
from channels
where "tenantId" = ?1
  and type = ?2
