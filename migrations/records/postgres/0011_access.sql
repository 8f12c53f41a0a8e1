-- Who may use the API besides the platform's own credentials, and who is signed in. Of keys, sessions and
-- links only digests are here: whoever reads these tables can use none of them.

create table jobs.access_keys (
    id uuid primary key,
    name text not null,
    role text not null,
    tenant text, -- all tenants if null
    digest bytea not null unique, -- SHA-256
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz, -- never if null
    last_used_at timestamptz, -- to the minute
    revoked_at timestamptz
);

create unique index access_keys_by_name on jobs.access_keys (name) where revoked_at is null;

create table jobs.sessions (
    digest bytea primary key, -- SHA-256
    id uuid not null,
    kind text not null, -- of the credential that was exchanged
    identity text not null, -- which of its kind
    name text not null, -- as the audit log has it
    role text not null,
    tenant text, -- all tenants if null
    created_at timestamptz not null default now(),
    used_at timestamptz not null default now(), -- to the minute
    expires_at timestamptz not null
);

create index sessions_by_expiry on jobs.sessions (expires_at);

-- Each opens one session, once.
create table jobs.sign_in_links (
    digest bytea primary key, -- SHA-256
    name text not null,
    role text not null,
    expires_at timestamptz not null
);
