-- Figures: per message, per day, per month, per widget visit and per API call.

create table message_metrics (
    id integer primary key autoincrement,
    conversation_id text
        references conversations (id) on update cascade on delete cascade,
    message_id text,
    tenant_id text not null
        references tenants (id) on update cascade on delete cascade,
    sent_at integer,
    response_at integer,
    response_time_ms integer,
    rag_used integer not null default false,
    rag_similarity real,
    rag_chunks_retrieved integer,
    rag_top_document_id text,
    confidence_score real,
    escalated integer not null default false,
    error_occurred integer not null default false,
    user_message text,
    created_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create index idx_message_metrics_conversation on message_metrics (conversation_id);
create index idx_message_metrics_tenant on message_metrics (tenant_id, created_at desc);
create index idx_message_metrics_created_at on message_metrics (created_at desc);
create index idx_message_metrics_rag_used on message_metrics (tenant_id, rag_used, created_at desc);

create table analytics_daily (
    id integer primary key autoincrement,
    tenant_id text not null
        references tenants (id) on update cascade on delete cascade,
    date text not null,
    total_conversations integer not null default 0,
    total_messages integer not null default 0,
    active_users integer not null default 0,
    avg_response_time_ms integer,
    documents_queried integer not null default 0,
    api_calls integer not null default 0,
    rag_queries integer not null default 0,
    rag_avg_similarity real,
    conversations_resolved integer not null default 0,
    conversations_escalated integer not null default 0,
    error_count integer not null default 0,
    widget_impressions integer not null default 0,
    widget_conversations integer not null default 0,
    created_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    updated_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create unique index analytics_daily_tenant_id_date_key on analytics_daily (tenant_id, date);
create index idx_analytics_daily_tenant_date on analytics_daily (tenant_id, date desc);
create index idx_analytics_daily_date on analytics_daily (date desc);

create table usage_tracking (
    id integer primary key autoincrement,
    tenant_id text not null
        references tenants (id) on update cascade on delete cascade,
    period_start integer not null,
    period_end integer not null,
    conversations_count integer not null default 0,
    documents_count integer not null default 0,
    team_members_count integer not null default 0,
    messages_count integer not null default 0,
    api_calls_count integer not null default 0,
    created_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    updated_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create unique index idx_usage_tracking_tenant_period on usage_tracking (tenant_id, period_start);
create index idx_usage_tracking_tenant_id on usage_tracking (tenant_id);
create index idx_usage_tracking_period on usage_tracking (tenant_id, period_start, period_end);

create table widget_analytics (
    id integer primary key autoincrement,
    tenant_id text not null
        references tenants (id) on update cascade on delete cascade,
    event_type text not null, -- impression | open | message_sent | close
    session_id text,
    user_id text,
    page_url text,
    referrer text,
    user_agent text,
    metadata text not null default '{}',
    created_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create index idx_widget_analytics_tenant on widget_analytics (tenant_id, created_at desc);
create index idx_widget_analytics_session on widget_analytics (session_id);
create index idx_widget_analytics_event_type on widget_analytics (tenant_id, event_type, created_at desc);

create table api_logs (
    id text not null,
    "tenantId" text,
    method text not null,
    path text not null,
    "statusCode" integer not null,
    duration integer not null, -- milliseconds
    ip text,
    "userAgent" text,
    error text,
    "timestamp" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    primary key (id, "timestamp")
) strict;

create index api_logs_id_idx on api_logs (id);
create index "api_logs_tenantId_timestamp_idx" on api_logs ("tenantId", "timestamp");
create index api_logs_timestamp_idx on api_logs ("timestamp");
