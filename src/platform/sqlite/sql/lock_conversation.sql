-- Whether the conversation is there; only one transaction writes, so no lock is needed. Called before each insert.
select id
from conversations
where "tenantId" = ?1
  and id = ?2
