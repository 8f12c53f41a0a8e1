-- One attempt to tell an endpoint. Called before it is repeated.
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
where id = $1
  and ($2::text is null or tenant = $2)
