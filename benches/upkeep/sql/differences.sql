-- Days of tenants whose figures are not those that these queries, which count each by itself, find.
with said as (
    select tenant_id, date, total_messages, active_users, total_conversations, avg_response_time_ms, documents_queried,
           rag_queries, conversations_escalated, error_count
      from analytics_daily
),
found as (
    select t.id as tenant_id, d.day::date as date,
           (select count(*) from messages m where m."tenantId" = t.id and date_trunc('day', m."timestamp") = d.day) as total_messages,
           (select count(*)
              from (select distinct c."userId"
                      from conversations c
                      join messages m on m."conversationId" = c.id
                     where m."tenantId" = t.id and m.direction = 'inbound' and date_trunc('day', m."timestamp") = d.day) as u) as active_users,
           (select count(*) from conversations c where c."tenantId" = t.id and date_trunc('day', c."createdAt") = d.day) as total_conversations,
           (select round(sum(response_time_ms)::numeric / count(*))
              from message_metrics x where x.tenant_id = t.id and date_trunc('day', x.created_at) = d.day) as avg_response_time_ms,
           (select count(distinct rag_top_document_id)
              from message_metrics x where x.tenant_id = t.id and date_trunc('day', x.created_at) = d.day) as documents_queried,
           (select count(*) from message_metrics x where x.tenant_id = t.id and date_trunc('day', x.created_at) = d.day and rag_used) as rag_queries,
           (select count(distinct conversation_id)
              from message_metrics x where x.tenant_id = t.id and date_trunc('day', x.created_at) = d.day and escalated) as conversations_escalated,
           (select count(*) from message_metrics x where x.tenant_id = t.id and date_trunc('day', x.created_at) = d.day and error_occurred) as error_count
      from tenants t
     cross join generate_series(date_trunc('day', now()) - interval '2 days', date_trunc('day', now()) - interval '1 day', interval '1 day') as d (day)
)
select count(*)
  from said
  full join found
       on (said.tenant_id, said.date, said.total_messages, said.active_users, said.total_conversations, said.avg_response_time_ms,
           said.documents_queried, said.rag_queries, said.conversations_escalated, said.error_count)
        = (found.tenant_id, found.date, found.total_messages, found.active_users, found.total_conversations, found.avg_response_time_ms,
           found.documents_queried, found.rag_queries, found.conversations_escalated, found.error_count)
 where said.tenant_id is null
    or found.tenant_id is null
