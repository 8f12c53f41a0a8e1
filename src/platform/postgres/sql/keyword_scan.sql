-- The same without an index, and for scripts that put no blanks between words: the words, or the parts, are looked for in
-- each of the tenant's chunks, up to a bound. Called for retrieval on an existing platform.
with terms as (
    select t.n, to_tsquery('simple', t.query) as words, null as part
    from unnest($2::text[]) with ordinality as t (query, n)
    union all
    select -p.n, null, p.part
    from unnest($4::text[]) with ordinality as p (part, n)
),
mine as materialized (
    select c.id, to_tsvector('simple', c.content) as words, c.content
    from chunks c
    join documents d on d.id = c."documentId"
    where c."tenantId" = $1
      and d."tenantId" = $1
      and d.status = 'ready'
    limit $5
),
matched as materialized (
    select mine.id, terms.n
    from mine
    join terms on case when terms.part is null then mine.words @@ terms.words else strpos(mine.content, terms.part) > 0 end
),
weights as (
    select terms.n, 1 / (1 + 10 * count(matched.id) / (searched.chunks + 10)) as weight
    from terms
    cross join (select count(*)::float8 as chunks from mine) searched
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
