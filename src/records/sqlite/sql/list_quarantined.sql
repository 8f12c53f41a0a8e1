-- A page of the quarantine, newest first, without bodies: of all tenants, or of the one that is named. Called by
-- operators.
select q.id, q.tenant, q.source, q.reason, q.headers, x'' as body, q.body_bytes, q.taken_at
from quarantine q
where (?1 is null or q.tenant = ?1)
  and (?2 is null or (q.taken_at, q.id) < (?2, ?3))
order by q.taken_at desc, q.id desc
limit ?4
