-- Limits, turns and pauses of kinds and tenants. Jobs of a queue that has any of them are governed:
-- they are in an index of their own, where each can be found by what limits tell apart, and not in
-- the one of ordinary claims, which therefore stays as fast as it is.

alter table jobs.jobs
    add column governed boolean not null default false,
    add column limit_key text collate "C";

alter table jobs.finished_jobs add column limit_key text collate "C";

drop index jobs.jobs_ready;

create index jobs_ready on jobs.jobs (queue, priority, run_at, id)
 where state in ('scheduled', 'available', 'retryable') and not governed;

create index jobs_governed on jobs.jobs
    (queue, (coalesce(tenant_id, '')), kind, (coalesce(limit_key, tenant_id, '')), priority, run_at, id)
 where state in ('scheduled', 'available', 'retryable') and governed;

-- What limits count. Leases only move forward: what ends before the oldest that was seen is gone.
create index jobs_governed_running on jobs.jobs (queue, lease_expires_at)
 where state = 'running' and governed;

-- Queues whose new jobs are to be governed. Enqueues may learn of it late: claims see to the rest.
create table jobs.governed_queues (
    queue text collate "C" primary key
);

-- Tokens of rates, by what they belong to: the queue (empty), kind:<kind>, key:<key>. One that is
-- missing is full.
create table jobs.buckets (
    queue  text collate "C" not null,
    name   text collate "C" not null,
    tokens double precision not null,
    at     timestamptz not null,
    primary key (queue, name)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
