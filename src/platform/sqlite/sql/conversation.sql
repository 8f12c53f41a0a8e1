-- One conversation. Called by jobs that continue it.
select
    id,
    "channelType" as channel,
    "externalId" as external_id,
    "userId" as user_id,
    status,
    "lastMessageAt" as last_message_at
from conversations
where "tenantId" = ?1
  and id = ?2
