-- The same, comparing every chunk of the tenant. Called when the index met too few of this tenant's.
with mine as materialized (
    select c.id, c.embedding <=> $2 as distance
    from chunks c
    join documents d on d.id = c."documentId"
    where c."tenantId" = $1
      and d."tenantId" = $1
      and d.status = 'ready'
      and c.embedding is not null
),
best as (
    select id, distance
    from mine
    order by distance, id
    limit $3
)
select
    c.id as chunk_id,
    c."documentId" as document_id,
    coalesce(d.metadata ->> 'name', d.filename) as document_name,
    c.content,
    c.position,
    c.metadata,
    1 - best.distance as score
from best
join chunks c on c.id = best.id
join documents d on d.id = c."documentId"
where c."tenantId" = $1
order by best.distance, best.id
