-- What is looked for among a million unfinished jobs. None of these indexes has jobs that run, which are few: a claim
-- pays nothing for them, and a job that can run at once, of no tenant and no correlation id, is in none.

-- Those that wait for a time, a retry or their turn, among many more that are available.
create index jobs_set_back on jobs.jobs (id)
 where state in ('scheduled', 'retryable', 'waiting');

create index jobs_tenant on jobs.jobs (tenant_id, id)
 where tenant_id is not null and state <> 'running';

create index jobs_correlation on jobs.jobs (correlation_id, id)
 where correlation_id is not null and state <> 'running';
