-- Up to $3 jobs that finished at $1, with an id after $2, or later; oldest first. Caller: news.rs.
(select id, kind, queue, state, attempt, tenant_id, correlation_id, finished_at
   from jobs.completed_jobs
  where finished_at >= $1
    and (finished_at, id) > ($1, $2)
  order by finished_at, id
  limit $3)
union all
(select id, kind, queue, state, attempt, tenant_id, correlation_id, finished_at
   from jobs.set_aside_jobs
  where state = 'cancelled'
    and finished_at >= $1
    and (finished_at, id) > ($1, $2)
  order by finished_at, id
  limit $3)
union all
(select id, kind, queue, state, attempt, tenant_id, correlation_id, finished_at
   from jobs.set_aside_jobs
  where state = 'dead'
    and finished_at >= $1
    and (finished_at, id) > ($1, $2)
  order by finished_at, id
  limit $3)
 order by finished_at, id
 limit $3
