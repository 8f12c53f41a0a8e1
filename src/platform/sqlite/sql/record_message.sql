-- A message, unless it is there under one of its ids (?11) or its own is taken; its id if it is new. Called in the
-- transaction that writes.
insert into messages
    (id, "tenantId", "conversationId", "externalId", direction, "from", type, content, metadata, "timestamp", "createdAt")
select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, cast(round(unixepoch('subsec') * 1000) as integer)
where not exists (
    select 1
    from messages
    where "tenantId" = ?2
      and "conversationId" = ?3
      and (id in (select value from json_each(?11)) or ("externalId" = ?4 and direction = ?5))
)
on conflict do nothing
returning id
