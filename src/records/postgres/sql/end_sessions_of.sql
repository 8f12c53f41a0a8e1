-- Ends the sessions that a credential has opened. Called when it is revoked.
delete from jobs.sessions
where kind = $1
  and identity = $2
