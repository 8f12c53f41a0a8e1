-- Each attempt to tell a tenant's endpoint of an event.

create table jobs.webhook_deliveries (
    id uuid primary key,
    job_id uuid not null,
    tenant text not null,
    webhook text not null,
    event text not null,
    event_type text not null,
    attempt integer not null, -- of its job, counted from 1
    status integer, -- what the endpoint answered, if it did
    error text, -- the class of what went wrong; null if it was delivered
    duration_ms integer not null,
    at timestamptz not null default now()
);

create index webhook_deliveries_of_webhook on jobs.webhook_deliveries (tenant, webhook, id);
create index webhook_deliveries_by_time on jobs.webhook_deliveries (at);
