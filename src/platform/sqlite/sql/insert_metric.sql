-- What answering one message took; nothing if that was recorded. Called with the conversation locked.
insert into message_metrics
    (conversation_id, message_id, tenant_id, sent_at, response_at, response_time_ms, rag_used, rag_similarity,
     rag_chunks_retrieved, rag_top_document_id, confidence_score, escalated, error_occurred, user_message, created_at)
select ?2, ?3, ?1, ?4, ?5, ?6, ?7, round(?8, 4), ?9, ?10, round(?11, 4), ?12, ?13, ?14,
       cast(round(unixepoch('subsec') * 1000) as integer)
where not exists (
    select 1
    from message_metrics
    where tenant_id = ?1
      and conversation_id = ?2
      and message_id = ?3
)
