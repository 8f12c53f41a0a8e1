-- What belongs to one correlation id is found by it, or by the jobs that carry it.

create index quarantine_of_correlation on quarantine (coalesce(headers ->> 'x-correlation-id', headers ->> 'correlationId'))
where coalesce(headers ->> 'x-correlation-id', headers ->> 'correlationId') is not null;

create index outbox_of_job on outbox (job_id);

create index webhook_deliveries_of_job on webhook_deliveries (job_id);
