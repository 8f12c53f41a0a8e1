-- A message, unless it is there under one of its ids ($11); nothing if its own is taken elsewhere. Called with the
-- conversation locked by an earlier statement: this one sees what whoever held the lock before has written.
with known as (
    select id
    from messages
    where "tenantId" = $2
      and "conversationId" = $3
      and (id = any ($11) or ("externalId" = $4 and direction = $5))
    limit 1
),
made as (
    insert into messages
        (id, "tenantId", "conversationId", "externalId", direction, "from", type, content, metadata, "timestamp", "createdAt")
    select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() at time zone 'utc'
    where not exists (select from known)
    on conflict do nothing
    returning id
)
select id, true as is_new from made
union all
select id, false from known
