-- One conversation. Called by jobs that continue it.
select
    id,
    "channelType" as channel,
    "externalId" as external_id,
    "userId" as user_id,
    status,
    (extract(epoch from "lastMessageAt") * 1000)::bigint as last_message_at
from conversations
where "tenantId" = $1
  and id = $2
