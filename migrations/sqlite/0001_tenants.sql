-- Tenants and their channels: the tables and columns of the existing platform, for a laptop.
--
-- What SQLite has no type for is kept so in all of these files: an instant as an integer of
-- milliseconds since 1970 in UTC (no more and no less than TIMESTAMP(3) holds), a day as 'YYYY-MM-DD',
-- JSON and lists as JSON text, a boolean as 0 or 1.

create table tenants (
    id text primary key not null,
    name text not null,
    settings text not null default '{}',
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null,
    enabled integer not null default true,
    widget_config text not null default '{}',
    stripe_customer_id text,
    stripe_subscription_id text,
    subscription_status text not null default 'free',
    current_plan_id text not null default 'free',
    subscription_end_date integer
) strict;

create index idx_tenants_stripe_customer_id on tenants (stripe_customer_id);
create index idx_tenants_stripe_subscription_id on tenants (stripe_subscription_id);
create index idx_tenants_subscription_status on tenants (subscription_status);

create table channels (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    type text not null, -- whatsapp | messenger | webchat
    config text not null,
    enabled integer not null default true,
    metadata text,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create unique index "channels_tenantId_type_key" on channels ("tenantId", type);
create index "channels_tenantId_enabled_idx" on channels ("tenantId", enabled);

create table channel_secrets (
    id text primary key not null,
    "channelId" text not null
        references channels (id) on update cascade on delete cascade,
    "keyId" text not null,
    ciphertext text not null,
    iv text not null,
    "authTag" text not null,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create unique index "channel_secrets_channelId_key" on channel_secrets ("channelId");
create index "channel_secrets_keyId_idx" on channel_secrets ("keyId");

create table tenant_secrets (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    name text not null,
    "keyId" text not null,
    ciphertext text not null,
    iv text not null,
    "authTag" text not null,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create unique index "tenant_secrets_tenantId_name_key" on tenant_secrets ("tenantId", name);
create index "tenant_secrets_keyId_idx" on tenant_secrets ("keyId");
