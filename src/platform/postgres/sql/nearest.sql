-- The chunks nearest to a vector, through an index if the planner likes one. Called for retrieval.
select
    c.id as chunk_id,
    c."documentId" as document_id,
    coalesce(d.metadata ->> 'name', d.filename) as document_name,
    c.content,
    c.position,
    c.metadata,
    1 - (c.embedding <=> $2) as score
from chunks c
join documents d on d.id = c."documentId"
where c."tenantId" = $1
  and d."tenantId" = $1
  and d.status = 'ready'
  and c.embedding is not null
order by c.embedding <=> $2
limit $3
