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
    (extract(epoch from at) * 1000)::bigint as at
from jobs.webhook_deliveries
where webhook = $1
  and ($2::text is null or tenant = $2)
  and ($3::uuid is null or id < $3)
order by id desc
limit $4
