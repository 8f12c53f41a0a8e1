-- Conversations, their messages, and what is announced about them.

create table conversations (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    "channelType" text not null,
    "externalId" text not null,
    "userId" text not null,
    status text not null default 'active', -- active | assigned_human | closed
    metadata text not null default '{}',
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null,
    "lastMessageAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create unique index "conversations_tenantId_channelType_externalId_key"
    on conversations ("tenantId", "channelType", "externalId");
create index "conversations_tenantId_status_idx" on conversations ("tenantId", status);
create index "conversations_tenantId_userId_idx" on conversations ("tenantId", "userId");
create index "conversations_lastMessageAt_idx" on conversations ("lastMessageAt");

create table messages (
    id text not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    "conversationId" text not null
        references conversations (id) on update cascade on delete cascade,
    "externalId" text,
    direction text not null, -- inbound | outbound
    "from" text not null,
    type text not null, -- text | image | audio | video | document | location
    content text not null,
    metadata text not null default '{}',
    "timestamp" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    primary key (id, "timestamp")
) strict;

create index messages_id_idx on messages (id);
create index "messages_tenantId_conversationId_idx" on messages ("tenantId", "conversationId");
create index "messages_conversationId_timestamp_idx" on messages ("conversationId", "timestamp");
create index "messages_externalId_idx" on messages ("externalId");

create table events (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    type text not null,
    data text not null,
    "timestamp" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create index "events_tenantId_type_timestamp_idx" on events ("tenantId", type, "timestamp");
create index events_timestamp_idx on events ("timestamp");

create table webhooks (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    url text not null,
    events text, -- a JSON list
    headers text not null default '{}',
    enabled integer not null default true,
    metadata text,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create index "webhooks_tenantId_enabled_idx" on webhooks ("tenantId", enabled);
