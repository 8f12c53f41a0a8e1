-- Adds a message, and so many conversations ($4), to what a tenant used in a month. Called last for each new message:
-- the tenant's other messages wait for this row until the transaction ends.
insert into usage_tracking as old
    (tenant_id, period_start, period_end, conversations_count, messages_count, created_at, updated_at)
values ($1, $2, $3, $4, 1, now() at time zone 'utc', now() at time zone 'utc')
on conflict (tenant_id, period_start) do update
set messages_count = coalesce(old.messages_count, 0) + 1,
    conversations_count = coalesce(old.conversations_count, 0) + excluded.conversations_count,
    updated_at = excluded.updated_at
returning messages_count::bigint as messages, conversations_count::bigint as conversations
