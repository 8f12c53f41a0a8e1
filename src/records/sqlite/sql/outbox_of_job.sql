-- The parts of messages that a job sends. Called by whoever follows what a correlation id set off.
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
where job_id = ?1
order by id
