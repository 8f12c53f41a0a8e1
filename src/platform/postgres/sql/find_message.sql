-- A message already there under one of its ids. Called before inserting it, with the conversation locked.
select id
from messages
where "tenantId" = $1
  and "conversationId" = $2
  and (id = any ($3) or ("externalId" = $4 and direction = $5))
limit 1
