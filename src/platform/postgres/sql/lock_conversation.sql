-- Makes writers of one conversation wait for each other, so that "look, then insert" is one step. Called before each insert.
select id
from conversations
where "tenantId" = $1
  and id = $2
for no key update
