-- Limits, turns and pauses of kinds and tenants. Jobs of a queue that has any of them are governed:
-- they are in an index of their own, and not in the one of ordinary claims.

alter table jobs add column governed integer not null default 0;

alter table jobs add column limit_key text;

drop index jobs_claim;

create index jobs_claim on jobs (queue, priority, run_at, id)
where state in ('scheduled', 'available', 'retryable') and governed = 0;

create index jobs_governed on jobs
(queue, ifnull(tenant_id, ''), kind, coalesce(limit_key, tenant_id, ''), priority, run_at, id)
where state in ('scheduled', 'available', 'retryable') and governed = 1;

-- What limits count.
create index jobs_governed_running on jobs (queue, kind, coalesce(limit_key, tenant_id, ''))
where state = 'running' and governed = 1;

-- Queues whose new jobs are governed.
create table job_governed_queues (
    queue text primary key not null
) strict, without rowid;

-- Tokens of rates, by what they belong to: the queue (empty), kind:<kind>, key:<key>. One that is
-- missing is full.
create table job_buckets (
    queue text not null,
    name text not null,
    tokens real not null,
    at integer not null,
    primary key (queue, name)
) strict, without rowid;
