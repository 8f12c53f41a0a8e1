-- One part of a message. Called by operators.
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
where id = ?1
  and (?2 is null or tenant = ?2)
