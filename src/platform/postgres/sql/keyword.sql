-- Chunks that hold any of the terms, best first, by how much of the question's weight they hold: a term weighs the more
-- the fewer of the tenant's chunks hold it. Called for retrieval where the words of chunks are indexed.
with terms as (
    select t.n, to_tsquery('simple', t.query) as words
    from unnest($2::text[]) with ordinality as t (query, n)
),
searched as (
    select count(*)::float8 as chunks
    from chunks c
    join documents d on d.id = c."documentId"
    where c."tenantId" = $1
      and d."tenantId" = $1
      and d.status = 'ready'
),
matched as materialized (
    select c.id, terms.n
    from terms
    join chunks c on to_tsvector('simple', c.content) @@ terms.words
    join documents d on d.id = c."documentId"
    where c."tenantId" = $1
      and d."tenantId" = $1
      and d.status = 'ready'
),
weights as (
    select terms.n, 1 / (1 + 10 * count(matched.id) / (searched.chunks + 10)) as weight
    from terms
    cross join searched
    left join matched on matched.n = terms.n
    group by terms.n, searched.chunks
),
best as (
    select matched.id, sum(weights.weight) / (select sum(weight) from weights) as score
    from matched
    join weights on weights.n = matched.n
    group by matched.id
    order by score desc, matched.id
    limit $3
)
select
    c.id as chunk_id,
    c."documentId" as document_id,
    coalesce(d.metadata ->> 'name', d.filename) as document_name,
    c.content,
    c.position,
    c.metadata,
    best.score
from best
join chunks c on c.id = best.id
join documents d on d.id = c."documentId"
where c."tenantId" = $1
order by best.score desc, c.id
