-- Messages in quarantine of a correlation id, without bodies: of all tenants, or of the one that is named. Called by
-- whoever follows what the id set off.
select q.id, q.tenant, q.source, q.reason, q.headers, x'' as body, q.body_bytes, q.taken_at
from quarantine q
where coalesce(q.headers ->> 'x-correlation-id', q.headers ->> 'correlationId') = ?1
  and (?2 is null or q.tenant = ?2)
order by q.taken_at, q.id
limit 100
