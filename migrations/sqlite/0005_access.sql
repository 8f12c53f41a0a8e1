-- Who may do what: operators, tenants' people, and their keys. The platform's tables for sign-up
-- and billing (password_reset_tokens, verification_tokens, invoices) are its own affair: no
-- background work reads or writes them.

create table admin_users (
    id text primary key not null,
    email text not null,
    name text,
    password text, -- bcrypt
    email_verified integer not null default false,
    role text not null default 'STANDARD',
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create unique index admin_users_email_key on admin_users (email);

create table tenant_api_keys (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    label text,
    prefix text not null,
    hash text not null,
    salt text not null,
    "lastFour" text not null,
    active integer not null default true,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null,
    "lastUsedAt" integer,
    "expiresAt" integer,
    "rotatedAt" integer,
    "rotationTokenHash" text,
    "rotationTokenSalt" text,
    "rotationIssuedAt" integer,
    "rotationExpiresAt" integer
) strict;

create unique index "tenant_api_keys_tenantId_label_key" on tenant_api_keys ("tenantId", label);
create index "tenant_api_keys_tenantId_active_idx" on tenant_api_keys ("tenantId", active);
create index tenant_api_keys_prefix_idx on tenant_api_keys (prefix);

create table admin_api_keys (
    id text primary key not null,
    "adminId" text not null
        references admin_users (id) on update cascade on delete cascade,
    label text,
    prefix text not null,
    hash text not null,
    salt text not null,
    "lastFour" text not null,
    active integer not null default true,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null,
    "lastUsedAt" integer,
    "expiresAt" integer,
    "rotatedAt" integer,
    "rotationTokenHash" text,
    "rotationTokenSalt" text,
    "rotationIssuedAt" integer,
    "rotationExpiresAt" integer
) strict;

create unique index "admin_api_keys_adminId_label_key" on admin_api_keys ("adminId", label);
create index "admin_api_keys_adminId_active_idx" on admin_api_keys ("adminId", active);
create index admin_api_keys_prefix_idx on admin_api_keys (prefix);

create table admin_keys (
    id text primary key not null,
    name text not null,
    "hashedSecret" text not null,
    status text not null default 'active',
    metadata text,
    "expiresAt" integer,
    "lastUsedAt" integer,
    "rotatedAt" integer,
    "revokedAt" integer,
    "rotatedBy" text,
    "createdBy" text,
    "revokedBy" text,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create unique index admin_keys_name_key on admin_keys (name);
create index admin_keys_status_idx on admin_keys (status);
create index "admin_keys_expiresAt_idx" on admin_keys ("expiresAt");

create table admin_audit_logs (
    id text primary key not null,
    "adminKeyId" text
        references admin_keys (id) on update cascade on delete set null,
    "actorId" text,
    "actorType" text not null,
    action text not null,
    target text,
    description text,
    metadata text,
    "ipAddress" text,
    "userAgent" text,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create table tenant_users (
    id text primary key not null,
    "tenantId" text not null
        references tenants (id) on update cascade on delete cascade,
    email text not null,
    password text,
    email_verified integer not null default false,
    role text not null default 'MEMBER',
    created_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    updated_at integer not null
) strict;

create unique index tenant_users_email_key on tenant_users (email);

create table mcp_servers (
    id text primary key not null,
    name text not null,
    description text,
    command text not null,
    args text not null default '[]',
    "requiredEnv" text not null default '[]',
    enabled integer not null default true,
    "createdAt" integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    "updatedAt" integer not null
) strict;

create unique index mcp_servers_name_key on mcp_servers (name);
