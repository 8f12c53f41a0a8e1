-- Notes an attempt to tell an endpoint of an event. Called after each attempt.
insert into jobs.webhook_deliveries
    (id, job_id, tenant, webhook, event, event_type, attempt, status, error, duration_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
