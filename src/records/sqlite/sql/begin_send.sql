-- Notes that a part is about to be sent; no row if somebody else sends it or it needs no sending. Called before each request.
update outbox
set state = 'sending',
    attempts = attempts + 1,
    sender = ?3,
    job_id = ?4,
    error = null,
    updated_at = cast(round(unixepoch('subsec') * 1000) as integer)
where tenant = ?1
  and id = ?2
  and state in ('pending', 'failed')
