-- Documents, of all tenants, that nobody has touched for a while. Called by the sweep that enqueues them again.
select "tenantId" as tenant, id, version
from documents
where status in ('pending', 'processing')
  and "updatedAt" < ?1
order by "updatedAt"
limit ?2
