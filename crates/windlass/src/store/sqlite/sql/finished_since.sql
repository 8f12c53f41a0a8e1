-- finished_since: up to ?3 jobs that finished at ?1, with an id after ?2, or later; oldest first. Caller: news.rs.
select id, kind, queue, state, attempt, tenant_id, correlation_id, finished_at
from jobs
where finished_at is not null
and state = 'completed'
and finished_at >= ?1
and (finished_at > ?1 or id > ?2)
union all
select id, kind, queue, state, attempt, tenant_id, correlation_id, finished_at
from jobs
where finished_at is not null
and state = 'cancelled'
and finished_at >= ?1
and (finished_at > ?1 or id > ?2)
union all
select id, kind, queue, state, attempt, tenant_id, correlation_id, finished_at
from jobs
where finished_at is not null
and state = 'dead'
and finished_at >= ?1
and (finished_at > ?1 or id > ?2)
order by finished_at, id
limit ?3;
