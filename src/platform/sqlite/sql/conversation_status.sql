-- Who answers in a conversation; only one transaction writes, so no lock is needed. Called before each answer.
select status
from conversations
where "tenantId" = ?1
  and id = ?2
