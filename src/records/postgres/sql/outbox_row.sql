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
    (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from updated_at) * 1000)::bigint as updated_at
from jobs.outbox
where id = $1
  and ($2::text is null or tenant = $2)
