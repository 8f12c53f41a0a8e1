-- Deletes at most $4 messages of a tenant that were written before $3 in one of the conversations $2. Called by the
-- clean-up until nothing is left. The time is named twice so that a partitioned table looks at its months only.
with old as materialized (
    select m.id, m."timestamp"
    from unnest($2::text[]) as c (id)
    cross join lateral (
        select m.id, m."timestamp"
        from messages m
        where m."conversationId" = c.id
          and m."tenantId" = $1
          and m."timestamp" < $3
        limit $4
    ) as m
    limit $4
)
delete from messages m
using old
where m.id = old.id
  and m."timestamp" = old."timestamp"
  and m."timestamp" < $3
  and m."tenantId" = $1
