-- Every write of a job asks of each of these whether it belongs there. The cheapest question comes
-- first, and no list of more than two: SQLite builds a table of it for each statement.

drop index jobs_claim;

create index jobs_claim on jobs (queue, priority, run_at, id)
where governed = 0 and (state = 'available' or state = 'scheduled' or state = 'retryable');

drop index jobs_governed;

create index jobs_governed on jobs
(queue, ifnull(tenant_id, ''), kind, coalesce(limit_key, tenant_id, ''), priority, run_at, id)
where governed = 1 and (state = 'available' or state = 'scheduled' or state = 'retryable');

drop index jobs_governed_running;

create index jobs_governed_running on jobs (queue, kind, coalesce(limit_key, tenant_id, ''))
where governed = 1 and state = 'running';
