-- Forgets sessions that are over. Called when somebody signs in.
delete from jobs.sessions
where expires_at < now()
