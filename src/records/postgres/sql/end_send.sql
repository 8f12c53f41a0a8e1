-- What came of a request. That it was sent counts whatever was thought meanwhile, unless another request was begun. Called after each request.
update jobs.outbox
set state = $4,
    provider_id = coalesce($5, provider_id),
    error = $6,
    updated_at = now()
where tenant = $1
  and id = $2
  and sender = $3
  and (state = 'sending' or (state in ('unknown', 'pending') and $4 = 'sent'))
