-- audit: up to ?6 entries before number ?5, the newest first: by actor ?1, action ?2, subject ?3 and tenant ?4, each of
-- which may be null. Caller: control.rs.
select id, at, actor, action, subject, tenant_id, before, after, reason
from job_audit
where id < ?5
and (?1 is null or actor = ?1)
and (?2 is null or action = ?2)
and (?3 is null or subject = ?3)
and (?4 is null or tenant_id = ?4)
order by id desc
limit ?6;
