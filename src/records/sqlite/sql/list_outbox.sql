-- Parts of messages, newest first: of a state, of a tenant, before an id, if these are given. Called by operators.
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
where (?1 is null or state = ?1)
  and (?2 is null or tenant = ?2)
  and (?3 is null or id < ?3)
order by id desc
limit ?4
