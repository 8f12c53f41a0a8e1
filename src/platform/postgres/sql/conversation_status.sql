-- Who answers in a conversation; its row stays locked, so that nobody else decides meanwhile. Called before each answer.
select status
from conversations
where "tenantId" = $1
  and id = $2
for no key update
