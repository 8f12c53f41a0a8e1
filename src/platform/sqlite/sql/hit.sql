-- One of the nearest chunks in full. Called once the nearest are known.
select
    c.id as chunk_id,
    c."documentId" as document_id,
    coalesce(d.metadata ->> 'name', d.filename) as document_name,
    c.content,
    c.position,
    c.metadata,
    ?3 as score
from chunks c
join documents d on d.id = c."documentId"
where c."tenantId" = ?1
  and c.seq = ?2
