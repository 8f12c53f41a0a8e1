-- Each attempt to tell a tenant's endpoint of an event.

create table webhook_deliveries (
    id blob primary key not null,
    job_id blob not null,
    tenant text not null,
    webhook text not null,
    event text not null,
    event_type text not null,
    attempt integer not null, -- of its job, counted from 1
    status integer, -- what the endpoint answered, if it did
    error text, -- the class of what went wrong; null if it was delivered
    duration_ms integer not null,
    at integer not null default (cast(round(unixepoch('subsec') * 1000) as integer))
) strict;

create index webhook_deliveries_of_webhook on webhook_deliveries (tenant, webhook, id);
create index webhook_deliveries_by_time on webhook_deliveries (at);
