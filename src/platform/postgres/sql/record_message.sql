-- A message, unless it is there under one of its ids ($11) or its own is taken; its id if it is new. Called with the
-- conversation locked by an earlier statement: this one sees what whoever held the lock before has written.
insert into messages
    (id, "tenantId", "conversationId", "externalId", direction, "from", type, content, metadata, "timestamp", "createdAt")
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() at time zone 'utc'
where not exists (
    select
    from messages
    where "tenantId" = $2
      and "conversationId" = $3
      and (id = any ($11) or ("externalId" = $4 and direction = $5))
)
on conflict do nothing
returning id
