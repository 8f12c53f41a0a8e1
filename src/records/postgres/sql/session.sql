-- The session of a cookie, if it is neither over nor idle for too long. Called for requests of browsers.
select
    id,
    kind,
    identity,
    name,
    role,
    tenant,
    (extract(epoch from expires_at) * 1000)::bigint as expires_at
from jobs.sessions
where digest = $1
  and expires_at > now()
  and used_at > now() - $2 * interval '1 millisecond'
