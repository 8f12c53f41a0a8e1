-- Adds a message, and so many conversations (?4), to what a tenant used in a month. Called last for each new message.
insert into usage_tracking as old
    (tenant_id, period_start, period_end, conversations_count, messages_count, created_at, updated_at)
values (?1, ?2, ?3, ?4, 1, cast(round(unixepoch('subsec') * 1000) as integer), cast(round(unixepoch('subsec') * 1000) as integer))
on conflict (tenant_id, period_start) do update
set messages_count = old.messages_count + 1,
    conversations_count = old.conversations_count + excluded.conversations_count,
    updated_at = excluded.updated_at
returning messages_count as messages, conversations_count as conversations
