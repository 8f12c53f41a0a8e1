-- get: job ?1, of tenant ?2 if one is given. Callers: read.rs, operate.rs.
select *
from jobs
where id = ?1
and (?2 is null or tenant_id = ?2);
