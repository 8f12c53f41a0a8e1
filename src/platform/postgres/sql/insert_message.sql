-- A message; nothing if its key is taken. Called with the conversation locked.
insert into messages
    (id, "tenantId", "conversationId", "externalId", direction, "from", type, content, metadata, "timestamp", "createdAt")
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() at time zone 'utc')
on conflict do nothing
