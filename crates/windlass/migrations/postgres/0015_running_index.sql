-- A governed running job was in two indexes, which each claim of one paid for. Now the index of leases alone says what
-- limits count: its queue keeps the count away from the rows of other queues.

drop index jobs.jobs_governed_running;

drop index jobs.jobs_leases;

create index jobs_leases on jobs.jobs (lease_expires_at, queue)
 where state = 'running';
