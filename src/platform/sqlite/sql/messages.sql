-- The newest messages of a conversation, newest first. Called for history and listings.
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
order by "timestamp" desc, "createdAt" desc, id desc
limit ?3
