-- The engine's tables in one SQLite file. They may share it with an application's own.
--
-- Unfinished and finished jobs share one table. SQLite has no dead rows to vacuum, and what a claim
-- looks at are partial indexes that hold nothing finished, so history slows nothing down; moving
-- rows to a second table would cost half of the throughput.
--
-- Ids are the 16 bytes of a UUID of version 7, so rows are appended in the order they are made.
-- Times are whole microseconds since 1970, as integers: compared with nothing but integers.
--
-- There are no check constraints: the store is the only writer, and every update would pay for them.

create table jobs (
    id blob not null unique,
    kind text not null,
    args text not null,
    queue text not null,
    priority integer not null,
    state text not null,
    run_at integer not null,
    attempt integer not null default 0,
    max_attempts integer not null,
    crashes integer not null default 0,
    claim_no integer not null default 0,
    tags text, -- a JSON array; null if empty
    tenant_id text,
    correlation_id text,
    trace_parent text,
    unique_scope text, -- kind, tenant and key; also the key in job_unique_keys
    ordering_key text,
    enqueued_at integer not null,
    claimed_at integer,
    worker text,
    lease_expires_at integer,
    cancel_requested_at integer,
    progress text,
    result text,
    finished_at integer,
    attempts text -- a JSON array of ended attempts, oldest first; null if empty
) strict;

-- What a claim may take, in the order it is taken.
create index jobs_claim on jobs (queue, priority, run_at, id)
where state in ('scheduled', 'available', 'retryable');

-- Leases by the time they run out. The queue is here for counting.
create index jobs_lease on jobs (lease_expires_at, queue)
where state = 'running';

-- Jobs that wait for their turn, for counting.
create index jobs_waiting on jobs (queue)
where state = 'waiting';

-- Unfinished jobs that share an ordering key, in order.
create index jobs_line on jobs (ordering_key, ifnull(tenant_id, ''), enqueued_at, id)
where ordering_key is not null and finished_at is null;

-- At most one job of a line may be claimable or running: the database itself refuses a second.
create unique index jobs_line_head on jobs (ordering_key, ifnull(tenant_id, ''))
where ordering_key is not null and finished_at is null and state <> 'waiting';

-- Retention goes by state and age.
create index jobs_finished on jobs (state, finished_at)
where finished_at is not null;

-- What is looked for: by whose it is, by what it belongs to, and the few that did not go well among
-- the many that did.
create index jobs_tenant on jobs (tenant_id, id)
where tenant_id is not null;

create index jobs_correlation on jobs (correlation_id, id)
where correlation_id is not null;

create index jobs_set_aside on jobs (id)
where state in ('cancelled', 'dead');

-- Unique and idempotency keys, each with its scope as a prefix. A unique key is held while its job
-- is unfinished and until `held_until`; an idempotency key only until then.
create table job_unique_keys (
    key text primary key not null,
    job_id blob not null,
    held_until integer,
    digest text -- of the request; null for a unique key
) strict, without rowid;

create index job_unique_keys_expiry on job_unique_keys (held_until)
where held_until is not null;

-- Processes that run jobs.
create table job_workers (
    id text primary key not null,
    host text not null,
    pid integer not null,
    version text not null,
    queues text not null, -- a JSON array
    slots integer not null,
    running integer not null,
    started_at integer not null,
    beat_at integer not null,
    draining integer not null
) strict, without rowid;

-- Who leads what, until when.
create table job_leaders (
    role text primary key not null,
    holder text not null,
    expires_at integer not null
) strict, without rowid;
