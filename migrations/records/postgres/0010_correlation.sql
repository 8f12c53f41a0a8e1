-- What belongs to one correlation id is found by it, or by the jobs that carry it.

create index quarantine_of_correlation on jobs.quarantine (coalesce(headers ->> 'x-correlation-id', headers ->> 'correlationId'))
 where coalesce(headers ->> 'x-correlation-id', headers ->> 'correlationId') is not null;

create index outbox_of_job on jobs.outbox (job_id);

create index webhook_deliveries_of_job on jobs.webhook_deliveries (job_id);
