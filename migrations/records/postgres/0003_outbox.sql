-- What is to be sent to a channel that cannot be asked whether it has it: each part of a message is
-- written down before it is sent.

create table jobs.outbox (
    id uuid primary key,
    job_id uuid not null,
    tenant text not null,
    conversation text not null,
    message text not null,
    channel text not null,
    part integer not null, -- counted from 1
    parts integer not null,
    state text not null default 'pending', -- pending | sending | sent | unknown | failed
    attempts integer not null default 0,
    sender uuid, -- who sends it, or did last: a late reply counts only for its own request
    provider_id text, -- what the channel calls it
    error text, -- never what it says, nor a token
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create unique index outbox_of_message on jobs.outbox (tenant, message, part);
create index outbox_by_state on jobs.outbox (state, id);
create index outbox_by_tenant on jobs.outbox (tenant, id);
