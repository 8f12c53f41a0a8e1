-- Chunks that hold any of the terms, best first, by how much of the question's weight they hold: a term weighs the more
-- the fewer of the tenant's chunks hold it. Called for retrieval.
-- `cross join` keeps the order: the index is asked once for each term, not once for each chunk of the tenant.
with terms as (
    select key as n, value as query
    from json_each(?2)
),
searched as (
    select cast(count(*) as real) as chunks
    from chunks c
    join documents d on d.id = c."documentId"
    where c."tenantId" = ?1
      and d."tenantId" = ?1
      and d.status = 'ready'
),
matched as materialized (
    select c.seq, terms.n
    from terms
    cross join chunks_fts on chunks_fts match terms.query
    cross join chunks c on c.seq = chunks_fts.rowid
    cross join documents d on d.id = c."documentId"
    where c."tenantId" = ?1
      and d."tenantId" = ?1
      and d.status = 'ready'
),
weights as materialized (
    select terms.n, 1 / (1 + 10 * count(matched.seq) / (searched.chunks + 10)) as weight
    from terms
    cross join searched
    left join matched on matched.n = terms.n
    group by terms.n
),
best as (
    select matched.seq, sum(weights.weight) / (select sum(weight) from weights) as score
    from matched
    join weights on weights.n = matched.n
    group by matched.seq
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
join chunks c on c.seq = best.seq
join documents d on d.id = c."documentId"
where c."tenantId" = ?1
order by best.score desc, c.id
limit ?3
