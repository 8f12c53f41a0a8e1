-- One message of a conversation. Called before it is sent.
select
    id,
    "conversationId" as conversation_id,
    "externalId" as external_id,
    direction,
    "from" as sender,
    type as kind,
    content,
    metadata,
    "timestamp" as at
from messages
where "tenantId" = ?1
  and "conversationId" = ?2
  and id = ?3
order by "timestamp"
limit 1
