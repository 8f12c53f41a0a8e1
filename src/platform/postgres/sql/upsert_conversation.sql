-- The conversation of a channel's user, made if there is none; its row stays locked. Called for each inbound message.
-- A closed one opens again for a message newer than all before it, so that an old one delivered twice does not.
insert into conversations as old
    (id, "tenantId", "channelType", "externalId", "userId", "createdAt", "updatedAt", "lastMessageAt")
values ($1, $2, $3, $4, $5, now() at time zone 'utc', now() at time zone 'utc', $6)
on conflict ("tenantId", "channelType", "externalId") do update
set "userId" = excluded."userId",
    status = case
        when old.status = 'closed' and excluded."lastMessageAt" > old."lastMessageAt" then 'active'
        else old.status
    end,
    "lastMessageAt" = greatest(old."lastMessageAt", excluded."lastMessageAt"),
    "updatedAt" = excluded."updatedAt"
returning
    id,
    "channelType" as channel,
    "externalId" as external_id,
    "userId" as user_id,
    status,
    (extract(epoch from "lastMessageAt") * 1000)::bigint as last_message_at,
    -- As it was when this began: the row that is returned is the new one.
    (select was.status from conversations was where was.id = old.id) as was
