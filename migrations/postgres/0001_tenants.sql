-- Tenants and their channels, as the existing platform has them. For an EMPTY database only: the
-- program never runs these files where the platform's tables already exist.
--
-- The platform's client writes UTC wall time into TIMESTAMP(3) without a time zone, makes ids and
-- sets "updatedAt" itself; so does this program.

create extension if not exists vector;

create table tenants (
    id text primary key,
    name text not null,
    settings jsonb not null default '{}',
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    enabled boolean not null default true,
    widget_config jsonb not null default '{}',
    stripe_customer_id text,
    stripe_subscription_id text,
    subscription_status text not null default 'free',
    current_plan_id text not null default 'free',
    subscription_end_date timestamp(3)
);

create index idx_tenants_stripe_customer_id on tenants (stripe_customer_id);
create index idx_tenants_stripe_subscription_id on tenants (stripe_subscription_id);
create index idx_tenants_subscription_status on tenants (subscription_status);

create table channels (
    id text primary key,
    "tenantId" text not null
        constraint "channels_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    type text not null, -- whatsapp | messenger | webchat
    config jsonb not null,
    enabled boolean not null default true,
    metadata jsonb,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create unique index "channels_tenantId_type_key" on channels ("tenantId", type);
create index "channels_tenantId_enabled_idx" on channels ("tenantId", enabled);

create table channel_secrets (
    id text primary key,
    "channelId" text not null
        constraint "channel_secrets_channelId_fkey" references channels (id) on update cascade on delete cascade,
    "keyId" text not null,
    ciphertext text not null,
    iv text not null,
    "authTag" text not null,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create unique index "channel_secrets_channelId_key" on channel_secrets ("channelId");
create index "channel_secrets_keyId_idx" on channel_secrets ("keyId");

create table tenant_secrets (
    id text primary key,
    "tenantId" text not null
        constraint "tenant_secrets_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    name text not null,
    "keyId" text not null,
    ciphertext text not null,
    iv text not null,
    "authTag" text not null,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create unique index "tenant_secrets_tenantId_name_key" on tenant_secrets ("tenantId", name);
create index "tenant_secrets_keyId_idx" on tenant_secrets ("keyId");
