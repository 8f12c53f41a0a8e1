-- The same for scripts that put no blanks between words: their parts are looked for in each of the tenant's chunks, up to a
-- bound. Called for retrieval.
with terms as (
    select key as n, value as part
    from json_each(?2)
),
mine as materialized (
    select c.seq, c.content
    from chunks c
    join documents d on d.id = c."documentId"
    where c."tenantId" = ?1
      and d."tenantId" = ?1
      and d.status = 'ready'
    limit ?4
),
matched as materialized (
    select mine.seq, terms.n
    from mine
    join terms on instr(lower(mine.content), terms.part) > 0
),
weights as materialized (
    select terms.n, 1 / (1 + 10 * count(matched.seq) / (searched.chunks + 10)) as weight
    from terms
    cross join (select cast(count(*) as real) as chunks from mine) searched
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
