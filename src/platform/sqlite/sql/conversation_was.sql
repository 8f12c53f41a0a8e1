-- Who was to answer in the conversation of a channel's user, if there was one. Called before upsert_conversation, which
-- shows what it wrote.
select status
from conversations
where "tenantId" = ?1
  and "channelType" = ?2
  and "externalId" = ?3
