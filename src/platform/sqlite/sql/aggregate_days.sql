-- The figures of one tenant's UTC days from ?2 up to, not including, ?3, as known at ?4; written over those of an
-- earlier run. A conversation ended when it was closed, or with its last message once it has been idle for ?5
-- milliseconds. Called by each run of the daily aggregation.
with recursive bounds as (
    select unixepoch(?2) * 1000 as first, unixepoch(?3) * 1000 as past
),
days as (
    select date(?2) as day
    union all
    select date(day, '+1 day') from days where date(day, '+1 day') < ?3
),
started as (
    select date("createdAt" / 1000, 'unixepoch') as day, count(*) as conversations
    from conversations, bounds
    where "tenantId" = ?1
      and "createdAt" >= first
      and "createdAt" < past
    group by 1
),
written as (
    select
        date(m."timestamp" / 1000, 'unixepoch') as day,
        count(*) as messages,
        count(distinct c."userId") filter (where m.direction = 'inbound') as users
    from messages m
    join conversations c on c.id = m."conversationId"
    join bounds
    where m."tenantId" = ?1
      and m."timestamp" >= first
      and m."timestamp" < past
    group by 1
),
answered as (
    select
        date(created_at / 1000, 'unixepoch') as day,
        cast(round(avg(response_time_ms)) as integer) as response_time,
        count(*) filter (where rag_used) as rag_queries,
        round(avg(rag_similarity) filter (where rag_used), 4) as similarity,
        count(distinct rag_top_document_id) as documents,
        count(*) filter (where error_occurred) as errors
    from message_metrics, bounds
    where tenant_id = ?1
      and created_at >= first
      and created_at < past
    group by 1
),
escalations as (
    select conversation_id as conversation, created_at as at
    from message_metrics
    where tenant_id = ?1
      and escalated
      and conversation_id is not null
    union all
    select data ->> 'conversationId', "timestamp"
    from events
    where "tenantId" = ?1
      and type = 'human_handoff.requested'
      and data ->> 'conversationId' is not null
),
escalated as (
    select date(at / 1000, 'unixepoch') as day, count(distinct conversation) as conversations
    from escalations, bounds
    where at >= first
      and at < past
    group by 1
),
ended as (
    select id, "updatedAt" as at
    from conversations, bounds
    where "tenantId" = ?1
      and status = 'closed'
      and "updatedAt" >= first
      and "updatedAt" < past
    union all
    select id, "lastMessageAt"
    from conversations, bounds
    where "tenantId" = ?1
      and status = 'active'
      and "lastMessageAt" >= first
      and "lastMessageAt" < past
      and "lastMessageAt" <= ?4 - ?5
),
resolved as (
    select date(at / 1000, 'unixepoch') as day, count(*) as conversations
    from ended
    where id not in (select conversation from escalations)
    group by 1
),
visited as (
    select
        date(created_at / 1000, 'unixepoch') as day,
        count(*) filter (where event_type = 'impression') as impressions,
        count(distinct session_id) filter (where event_type = 'message_sent') as conversations
    from widget_analytics, bounds
    where tenant_id = ?1
      and created_at >= first
      and created_at < past
    group by 1
),
called as (
    select date("timestamp" / 1000, 'unixepoch') as day, count(*) as calls
    from api_logs, bounds
    where "tenantId" = ?1
      and "timestamp" >= first
      and "timestamp" < past
    group by 1
)
insert into analytics_daily
    (tenant_id, date, total_conversations, total_messages, active_users, avg_response_time_ms, documents_queried,
     api_calls, rag_queries, rag_avg_similarity, conversations_resolved, conversations_escalated, error_count,
     widget_impressions, widget_conversations, created_at, updated_at)
select
    ?1,
    days.day,
    coalesce(started.conversations, 0),
    coalesce(written.messages, 0),
    coalesce(written.users, 0),
    answered.response_time,
    coalesce(answered.documents, 0),
    coalesce(called.calls, 0),
    coalesce(answered.rag_queries, 0),
    answered.similarity,
    coalesce(resolved.conversations, 0),
    coalesce(escalated.conversations, 0),
    coalesce(answered.errors, 0),
    coalesce(visited.impressions, 0),
    coalesce(visited.conversations, 0),
    ?4,
    ?4
from days
left join started on started.day = days.day
left join written on written.day = days.day
left join answered on answered.day = days.day
left join escalated on escalated.day = days.day
left join resolved on resolved.day = days.day
left join visited on visited.day = days.day
left join called on called.day = days.day
where true -- or `on` is taken for the join's
on conflict (tenant_id, date) do update
set total_conversations = excluded.total_conversations,
    total_messages = excluded.total_messages,
    active_users = excluded.active_users,
    avg_response_time_ms = excluded.avg_response_time_ms,
    documents_queried = excluded.documents_queried,
    api_calls = excluded.api_calls,
    rag_queries = excluded.rag_queries,
    rag_avg_similarity = excluded.rag_avg_similarity,
    conversations_resolved = excluded.conversations_resolved,
    conversations_escalated = excluded.conversations_escalated,
    error_count = excluded.error_count,
    widget_impressions = excluded.widget_impressions,
    widget_conversations = excluded.widget_conversations,
    updated_at = excluded.updated_at
