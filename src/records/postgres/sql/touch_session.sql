-- Notes that a session is used, at most once a minute. Called when it is looked up.
update jobs.sessions
set used_at = now()
where digest = $1
  and used_at < now() - interval '1 minute'
