-- Notes that nobody knows what came of a request whose sender is gone. Called by the attempt that finds it.
update outbox
set state = 'unknown',
    error = ?4,
    updated_at = cast(round(unixepoch('subsec') * 1000) as integer)
where tenant = ?1
  and id = ?2
  and sender = ?3
  and state = 'sending'
