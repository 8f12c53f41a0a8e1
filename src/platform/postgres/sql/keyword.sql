-- Chunks that hold any of the words, best first. Called for retrieval.
select
    c.id as chunk_id,
    c."documentId" as document_id,
    coalesce(d.metadata ->> 'name', d.filename) as document_name,
    c.content,
    c.position,
    c.metadata,
    ts_rank(to_tsvector('simple', c.content), q.words)::float8 as score
from to_tsquery('simple', $2) as q (words)
join chunks c on to_tsvector('simple', c.content) @@ q.words
join documents d on d.id = c."documentId"
where c."tenantId" = $1
  and d."tenantId" = $1
  and d.status = 'ready'
order by score desc, c.id
limit $3
