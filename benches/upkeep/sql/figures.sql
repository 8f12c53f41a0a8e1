-- All figures in one text.
select md5(string_agg(figures::text, '' order by tenant_id, date))
  from (select tenant_id, date, total_conversations, total_messages, active_users, avg_response_time_ms, documents_queried, api_calls,
               rag_queries, rag_avg_similarity, conversations_resolved, conversations_escalated, error_count,
               widget_impressions, widget_conversations
          from analytics_daily) as figures
