-- The version that counts now; it cannot change before this transaction ends. Called before chunks are replaced.
select version
from documents
where "tenantId" = $1
  and id = $2
for no key update
