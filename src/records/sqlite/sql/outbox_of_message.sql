-- The parts of a message, in order. Called by the job that sends them.
select
    id,
    job_id,
    tenant,
    conversation,
    message,
    channel,
    part,
    parts,
    state,
    attempts,
    sender,
    provider_id,
    error,
    created_at,
    updated_at
from outbox
where tenant = ?1
  and message = ?2
order by part
