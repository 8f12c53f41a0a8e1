-- Every channel that takes messages, of all tenants. Called by whoever decides which queues to read.
select c."tenantId" as tenant, c.type as channel
from channels c
join tenants t on t.id = c."tenantId"
where c.enabled
  and t.enabled
order by c."tenantId", c.type
