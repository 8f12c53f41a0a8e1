-- Messages from the broker that could not become jobs, until an operator replays or discards them.

create table quarantine (
    id blob primary key not null,
    tenant text, -- as far as known: from the queue, never believed from the body
    source text not null, -- the queue it came from
    reason text not null, -- what is wrong, never a part of the body
    headers text not null default '{}',
    body blob not null,
    body_bytes integer not null, -- of the whole body; `body` is its beginning when that is less
    taken_at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create index quarantine_by_time on quarantine (taken_at, id);

create index quarantine_by_tenant on quarantine (tenant, taken_at, id);
