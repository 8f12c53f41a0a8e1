-- Messages from the broker that could not become jobs, until an operator replays or discards them.

create table jobs.quarantine (
    id uuid primary key,
    tenant text, -- as far as known: from the queue, never believed from the body
    source text not null, -- the queue it came from
    reason text not null, -- what is wrong, never a part of the body
    headers jsonb not null default '{}',
    body bytea not null,
    body_bytes bigint not null, -- of the whole body; `body` is its beginning when that is less
    taken_at timestamptz not null default now()
);

create index quarantine_by_time on jobs.quarantine (taken_at, id);

create index quarantine_by_tenant on jobs.quarantine (tenant, taken_at, id);
