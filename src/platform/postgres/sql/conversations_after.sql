-- The ids of the $3 next conversations of a tenant after the id $2. Called by the clean-up of messages, page by page.
select id
from conversations
where "tenantId" = $1
  and id > $2
order by id
limit $3
