-- Attempts to tell an endpoint, newest first; of a tenant and before an id, if these are given. Called by operators.
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
where webhook = ?1
  and (?2 is null or tenant = ?2)
  and (?3 is null or id < ?3)
order by id desc
limit ?4
