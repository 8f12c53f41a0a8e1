-- The figures of one tenant's days from $2 up to, not including, $3. Called by whoever shows or checks them.
select
    date,
    total_conversations,
    total_messages,
    active_users,
    avg_response_time_ms,
    documents_queried,
    api_calls,
    rag_queries,
    rag_avg_similarity::float8 as rag_avg_similarity,
    conversations_resolved,
    conversations_escalated,
    error_count,
    widget_impressions,
    widget_conversations
from analytics_daily
where tenant_id = $1
  and date >= $2
  and date < $3
order by date
