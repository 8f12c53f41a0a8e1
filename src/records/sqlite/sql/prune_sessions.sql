-- Forgets sessions that are over. Called when somebody signs in.
delete from sessions
where expires_at < cast(round(unixepoch('subsec') * 1000) as integer)
