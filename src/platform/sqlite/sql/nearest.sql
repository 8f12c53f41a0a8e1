-- Every vector of a tenant, to be compared one by one. Called for retrieval.
select c.seq, c.embedding
from chunks c
join documents d on d.id = c."documentId"
where c."tenantId" = ?1
  and d."tenantId" = ?1
  and d.status = 'ready'
  and c.embedding is not null
