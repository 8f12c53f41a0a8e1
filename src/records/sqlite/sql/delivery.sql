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
    at
from webhook_deliveries
where id = ?1
  and (?2 is null or tenant = ?2)
