-- A page of the quarantine, newest first, without bodies: of all tenants, or of the one that is named. Called by
-- operators.
select q.id, q.tenant, q.source, q.reason, q.headers, ''::bytea as body, q.body_bytes, q.taken_at
from jobs.quarantine q
where ($1::text is null or q.tenant = $1)
  and ($2::bigint is null or (q.taken_at, q.id) < (timestamptz 'epoch' + $2 * interval '1 microsecond', $3::uuid))
order by q.taken_at desc, q.id desc
limit $4
