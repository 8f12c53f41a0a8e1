-- Conversations, their messages, and what is announced about them.

create table conversations (
    id text primary key,
    "tenantId" text not null
        constraint "conversations_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    "channelType" text not null,
    "externalId" text not null,
    "userId" text not null,
    status text not null default 'active', -- active | assigned_human | closed
    metadata jsonb not null default '{}',
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    "lastMessageAt" timestamp(3) not null default current_timestamp
);

create unique index "conversations_tenantId_channelType_externalId_key"
    on conversations ("tenantId", "channelType", "externalId");
create index "conversations_tenantId_status_idx" on conversations ("tenantId", status);
create index "conversations_tenantId_userId_idx" on conversations ("tenantId", "userId");
create index "conversations_lastMessageAt_idx" on conversations ("lastMessageAt");

-- A plain table: the platform works on a plain and on a partitioned one alike, and a plain one has
-- no partition that can be missing. The key holds the timestamp so that it can be partitioned later.
create table messages (
    id text not null,
    "tenantId" text not null
        constraint "messages_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    "conversationId" text not null
        constraint "messages_conversationId_fkey" references conversations (id) on update cascade on delete cascade,
    "externalId" text,
    direction text not null, -- inbound | outbound
    "from" text not null,
    type text not null, -- text | image | audio | video | document | location
    content jsonb not null,
    metadata jsonb not null default '{}',
    "timestamp" timestamp(3) not null default current_timestamp,
    "createdAt" timestamp(3) not null default current_timestamp,
    primary key (id, "timestamp")
);

create index messages_id_idx on messages (id);
create index "messages_tenantId_conversationId_idx" on messages ("tenantId", "conversationId");
create index "messages_conversationId_timestamp_idx" on messages ("conversationId", "timestamp");
create index "messages_externalId_idx" on messages ("externalId");

create table events (
    id text primary key,
    "tenantId" text not null
        constraint "events_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    type text not null,
    data jsonb not null,
    "timestamp" timestamp(3) not null default current_timestamp
);

create index "events_tenantId_type_timestamp_idx" on events ("tenantId", type, "timestamp");
create index events_timestamp_idx on events ("timestamp");

create table webhooks (
    id text primary key,
    "tenantId" text not null
        constraint "webhooks_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    url text not null,
    events text[],
    headers jsonb not null default '{}',
    enabled boolean not null default true,
    metadata jsonb,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create index "webhooks_tenantId_enabled_idx" on webhooks ("tenantId", enabled);
