-- Who may do what: operators, tenants' people, and their keys. The platform's tables for sign-up
-- and billing (password_reset_tokens, verification_tokens, invoices) are its own affair: no
-- background work reads or writes them.

create type "AdminRole" as enum ('SUPER', 'STANDARD');
create type "AdminKeyStatus" as enum ('active', 'disabled', 'revoked');
create type "TenantUserRole" as enum ('OWNER', 'ADMIN', 'MEMBER');

create table admin_users (
    id text primary key,
    email text not null,
    name text,
    password text, -- bcrypt
    email_verified boolean not null default false,
    role "AdminRole" not null default 'STANDARD',
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create unique index admin_users_email_key on admin_users (email);

create table tenant_api_keys (
    id text primary key,
    "tenantId" text not null
        constraint "tenant_api_keys_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    label text,
    prefix text not null,
    hash text not null,
    salt text not null,
    "lastFour" text not null,
    active boolean not null default true,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    "lastUsedAt" timestamp(3),
    "expiresAt" timestamp(3),
    "rotatedAt" timestamp(3),
    "rotationTokenHash" text,
    "rotationTokenSalt" text,
    "rotationIssuedAt" timestamp(3),
    "rotationExpiresAt" timestamp(3)
);

create unique index "tenant_api_keys_tenantId_label_key" on tenant_api_keys ("tenantId", label);
create index "tenant_api_keys_tenantId_active_idx" on tenant_api_keys ("tenantId", active);
create index tenant_api_keys_prefix_idx on tenant_api_keys (prefix);

create table admin_api_keys (
    id text primary key,
    "adminId" text not null
        constraint "admin_api_keys_adminId_fkey" references admin_users (id) on update cascade on delete cascade,
    label text,
    prefix text not null,
    hash text not null,
    salt text not null,
    "lastFour" text not null,
    active boolean not null default true,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null,
    "lastUsedAt" timestamp(3),
    "expiresAt" timestamp(3),
    "rotatedAt" timestamp(3),
    "rotationTokenHash" text,
    "rotationTokenSalt" text,
    "rotationIssuedAt" timestamp(3),
    "rotationExpiresAt" timestamp(3)
);

create unique index "admin_api_keys_adminId_label_key" on admin_api_keys ("adminId", label);
create index "admin_api_keys_adminId_active_idx" on admin_api_keys ("adminId", active);
create index admin_api_keys_prefix_idx on admin_api_keys (prefix);

create table admin_keys (
    id text primary key,
    name text not null,
    "hashedSecret" text not null,
    status "AdminKeyStatus" not null default 'active',
    metadata jsonb,
    "expiresAt" timestamp(3),
    "lastUsedAt" timestamp(3),
    "rotatedAt" timestamp(3),
    "revokedAt" timestamp(3),
    "rotatedBy" text,
    "createdBy" text,
    "revokedBy" text,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create unique index admin_keys_name_key on admin_keys (name);
create index admin_keys_status_idx on admin_keys (status);
create index "admin_keys_expiresAt_idx" on admin_keys ("expiresAt");

create table admin_audit_logs (
    id text primary key,
    "adminKeyId" text
        constraint "admin_audit_logs_adminKeyId_fkey" references admin_keys (id) on update cascade on delete set null,
    "actorId" text,
    "actorType" text not null,
    action text not null,
    target text,
    description text,
    metadata jsonb,
    "ipAddress" text,
    "userAgent" text,
    "createdAt" timestamp(3) not null default current_timestamp
);

create table tenant_users (
    id text primary key,
    "tenantId" text not null
        constraint "tenant_users_tenantId_fkey" references tenants (id) on update cascade on delete cascade,
    email text not null,
    password text,
    email_verified boolean not null default false,
    role "TenantUserRole" not null default 'MEMBER',
    created_at timestamp(3) not null default current_timestamp,
    updated_at timestamp(3) not null
);

create unique index tenant_users_email_key on tenant_users (email);

create table mcp_servers (
    id text primary key,
    name text not null,
    description text,
    command text not null,
    args jsonb not null default '[]',
    "requiredEnv" jsonb not null default '[]',
    enabled boolean not null default true,
    "createdAt" timestamp(3) not null default current_timestamp,
    "updatedAt" timestamp(3) not null
);

create unique index mcp_servers_name_key on mcp_servers (name);
