-- The version that counts now; only one transaction writes, so it cannot change. Called before chunks are replaced.
select version
from documents
where "tenantId" = ?1
  and id = ?2
