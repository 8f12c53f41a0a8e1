-- Chunks that hold any of the words, best first. Called for retrieval.
-- `cross join` keeps the order: the index is asked once, not once for each chunk of the tenant.
select
    c.id as chunk_id,
    c."documentId" as document_id,
    coalesce(d.metadata ->> 'name', d.filename) as document_name,
    c.content,
    c.position,
    c.metadata,
    -bm25(chunks_fts) as score
from chunks_fts
cross join chunks c on c.seq = chunks_fts.rowid
cross join documents d on d.id = c."documentId"
where chunks_fts match ?2
  and c."tenantId" = ?1
  and d."tenantId" = ?1
  and d.status = 'ready'
order by score desc, c.id
limit ?3
