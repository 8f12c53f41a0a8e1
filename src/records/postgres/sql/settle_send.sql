-- What an operator decided of a part whose state is as it was seen. Called by operators.
update jobs.outbox
set state = $4,
    provider_id = coalesce($5, provider_id),
    error = null,
    updated_at = now()
where tenant = $1
  and id = $2
  and state = $3
