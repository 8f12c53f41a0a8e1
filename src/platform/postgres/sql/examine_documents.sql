-- A page of a tenant's documents, with what is known of their chunks. Called by the integrity check and by reindexing.
select
    d.id,
    d.version,
    d.status,
    (extract(epoch from d."updatedAt") * 1000)::bigint as updated_at,
    coalesce(jsonb_typeof(d.metadata -> 'content') = 'string', false) as has_text,
    d.metadata ->> 'chunkCount' as chunk_count,
    d.metadata ->> 'indexedVersion' as indexed_version,
    d.metadata ->> 'failedVersion' as failed_version,
    d.metadata ->> 'embeddingModel' as model,
    (select count(*) from chunks c where c."tenantId" = $1 and c."documentId" = d.id) as chunks,
    (select count(distinct c.position) from chunks c where c."tenantId" = $1 and c."documentId" = d.id) as positions,
    (select count(c.embedding) from chunks c where c."tenantId" = $1 and c."documentId" = d.id) as embedded
from documents d
where d."tenantId" = $1
  and d.id > $2
order by d.id
limit $3
