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
    (extract(epoch from created_at) * 1000)::bigint as created_at,
    (extract(epoch from updated_at) * 1000)::bigint as updated_at
from jobs.outbox
where ($1::text is null or state = $1)
  and ($2::text is null or tenant = $2)
  and ($3::uuid is null or id < $3)
order by id desc
limit $4
