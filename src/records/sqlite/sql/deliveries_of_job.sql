-- A job's attempts to tell an endpoint. Called by whoever follows what a correlation id set off.
select
    id,
    job_id,
    tenant,
    webhook,
    event,
    event_type,
    attempt,
    status,
    error,
    duration_ms,
    at
from webhook_deliveries
where job_id = ?1
order by id
