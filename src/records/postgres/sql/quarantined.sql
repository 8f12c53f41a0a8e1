-- One message in quarantine. Called when an operator looks at it or replays it.
select id, tenant, source, reason, headers, body, body_bytes, taken_at
from jobs.quarantine
where id = $1
