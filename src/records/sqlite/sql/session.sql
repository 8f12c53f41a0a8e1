-- The session of a cookie, if it is neither over nor idle for too long. Called for requests of browsers.
select
    id,
    kind,
    identity,
    name,
    role,
    tenant,
    expires_at
from sessions
where digest = ?1
  and expires_at > cast(round(unixepoch('subsec') * 1000) as integer)
  and used_at > cast(round(unixepoch('subsec') * 1000) as integer) - ?2
