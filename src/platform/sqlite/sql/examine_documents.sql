-- A page of a tenant's documents, with what is known of their chunks. Called by the integrity check and by reindexing.
select
    d.id,
    d.version,
    d.status,
    d."updatedAt" as updated_at,
    coalesce(json_type(d.metadata, '$.content') = 'text', false) as has_text,
    cast(json_extract(d.metadata, '$.chunkCount') as text) as chunk_count,
    cast(json_extract(d.metadata, '$.indexedVersion') as text) as indexed_version,
    cast(json_extract(d.metadata, '$.failedVersion') as text) as failed_version,
    cast(json_extract(d.metadata, '$.embeddingModel') as text) as model,
    (select count(*) from chunks c where c."tenantId" = ?1 and c."documentId" = d.id) as chunks,
    (select count(distinct c.position) from chunks c where c."tenantId" = ?1 and c."documentId" = d.id) as positions,
    (select count(c.embedding) from chunks c where c."tenantId" = ?1 and c."documentId" = d.id) as embedded
from documents d
where d."tenantId" = ?1
  and d.id > ?2
order by d.id
limit ?3
