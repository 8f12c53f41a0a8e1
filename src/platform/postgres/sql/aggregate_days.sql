-- The figures of one tenant's UTC days from $2 up to, not including, $3, as known at $4; written over those of an
-- earlier run. A conversation ended when it was closed, or with its last message once it has been idle for $5
-- milliseconds. Called by each run of the daily aggregation.
with days as (
    select d::date as day
    from generate_series($2::date, $3::date - 1, interval '1 day') as d
),
started as (
    select "createdAt"::date as day, count(*) as conversations
    from conversations
    where "tenantId" = $1
      and "createdAt" >= $2::date
      and "createdAt" < $3::date
    group by 1
),
written as (
    select
        m."timestamp"::date as day,
        count(*) as messages,
        count(distinct c."userId") filter (where m.direction = 'inbound') as users
    from messages m
    join conversations c on c.id = m."conversationId"
    where m."tenantId" = $1
      and m."timestamp" >= $2::date
      and m."timestamp" < $3::date
    group by 1
),
answered as (
    select
        created_at::date as day,
        round(avg(response_time_ms))::integer as response_time,
        count(*) filter (where rag_used) as rag_queries,
        avg(rag_similarity) filter (where rag_used) as similarity,
        count(distinct rag_top_document_id) as documents,
        count(*) filter (where error_occurred) as errors
    from message_metrics
    where tenant_id = $1
      and created_at >= $2::date
      and created_at < $3::date
    group by 1
),
escalations as (
    select conversation_id as conversation, created_at as at
    from message_metrics
    where tenant_id = $1
      and escalated
      and conversation_id is not null
    union all
    select data ->> 'conversationId', "timestamp"
    from events
    where "tenantId" = $1
      and type = 'human_handoff.requested'
      and data ->> 'conversationId' is not null
),
escalated as (
    select at::date as day, count(distinct conversation) as conversations
    from escalations
    where at >= $2::date
      and at < $3::date
    group by 1
),
ended as (
    select id, "updatedAt" as at
    from conversations
    where "tenantId" = $1
      and status = 'closed'
      and "updatedAt" >= $2::date
      and "updatedAt" < $3::date
    union all
    select id, "lastMessageAt"
    from conversations
    where "tenantId" = $1
      and status = 'active'
      and "lastMessageAt" >= $2::date
      and "lastMessageAt" < $3::date
      and "lastMessageAt" <= $4::timestamp - $5 * interval '1 millisecond'
),
resolved as (
    select at::date as day, count(*) as conversations
    from ended
    where id not in (select conversation from escalations)
    group by 1
),
visited as (
    select
        created_at::date as day,
        count(*) filter (where event_type = 'impression') as impressions,
        count(distinct session_id) filter (where event_type = 'message_sent') as conversations
    from widget_analytics
    where tenant_id = $1
      and created_at >= $2::date
      and created_at < $3::date
    group by 1
),
called as (
    select "timestamp"::date as day, count(*) as calls
    from api_logs
    where "tenantId" = $1
      and "timestamp" >= $2::date
      and "timestamp" < $3::date
    group by 1
)
insert into analytics_daily
    (tenant_id, date, total_conversations, total_messages, active_users, avg_response_time_ms, documents_queried,
     api_calls, rag_queries, rag_avg_similarity, conversations_resolved, conversations_escalated, error_count,
     widget_impressions, widget_conversations, created_at, updated_at)
select
    $1,
    day,
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
    $4,
    $4
from days
left join started using (day)
left join written using (day)
left join answered using (day)
left join escalated using (day)
left join resolved using (day)
left join visited using (day)
left join called using (day)
order by day
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
