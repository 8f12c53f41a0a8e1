-- Who may use the API besides the platform's own credentials, and who is signed in. Of keys, sessions and
-- links only digests are here: whoever reads these tables can use none of them.

create table access_keys (
    id blob primary key not null,
    name text not null,
    role text not null,
    tenant text, -- all tenants if null
    digest blob not null unique, -- SHA-256
    created_by text not null,
    created_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    expires_at integer, -- never if null
    last_used_at integer, -- to the minute
    revoked_at integer
) strict;

create unique index access_keys_by_name on access_keys (name) where revoked_at is null;

create table sessions (
    digest blob primary key not null, -- SHA-256
    id blob not null,
    kind text not null, -- of the credential that was exchanged
    identity text not null, -- which of its kind
    name text not null, -- as the audit log has it
    role text not null,
    tenant text, -- all tenants if null
    created_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    used_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)), -- to the minute
    expires_at integer not null
) strict;

create index sessions_by_expiry on sessions (expires_at);

-- Each opens one session, once.
create table sign_in_links (
    digest blob primary key not null, -- SHA-256
    name text not null,
    role text not null,
    expires_at integer not null
) strict;
