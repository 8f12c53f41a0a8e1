-- Notes that a session is used, at most once a minute. Called when it is looked up.
update sessions
set used_at = cast(round(unixepoch('subsec') * 1000) as integer)
where digest = ?1
  and used_at < cast(round(unixepoch('subsec') * 1000) as integer) - 60000
