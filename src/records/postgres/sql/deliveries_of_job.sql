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
    (extract(epoch from at) * 1000)::bigint as at
from jobs.webhook_deliveries
where job_id = $1
order by id
