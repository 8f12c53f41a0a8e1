-- A metric for each of $1 / 2 answers of $2 tenants, over the same days.
insert into message_metrics (conversation_id, tenant_id, sent_at, response_at, response_time_ms, rag_used, rag_similarity,
                             rag_top_document_id, escalated, error_occurred, created_at)
select 'c-' || n % $2 || '-' || n / $2 % $3, 'tenant-' || n % $2, at, at + interval '900 milliseconds', 500 + n % 1000,
       n % 3 = 0, case when n % 3 = 0 then 0.5 + (n % 400) / 1000.0 end, case when n % 3 = 0 then 'd-' || n % 50 end,
       n % 97 = 0, n % 89 = 0, at
  from generate_series(0, $1 / 2 - 1) as n
 cross join lateral (select date_trunc('day', now()) - interval '2 days' + n * (interval '4 days' / $1) as at) as time
