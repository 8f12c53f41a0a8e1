-- A message already there under one of its ids. Called before inserting it, in the transaction that writes.
select id
from messages
where "tenantId" = ?1
  and "conversationId" = ?2
  and (id in (select value from json_each(?3)) or ("externalId" = ?4 and direction = ?5))
limit 1
