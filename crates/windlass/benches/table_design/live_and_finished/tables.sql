-- What is not finished in one table, what is in another, partitioned by day.
drop schema if exists windlass_bench cascade;
create schema windlass_bench;
create table windlass_bench.jobs (
    id               uuid primary key,
    claim_no         bigint not null default 0,
    run_at           timestamptz not null,
    enqueued_at      timestamptz not null,
    claimed_at       timestamptz,
    lease_expires_at timestamptz,
    priority         smallint not null,
    attempt          smallint not null default 0,
    max_attempts     smallint not null default 10,
    crashes          smallint not null default 0,
    state            text collate "C" not null,
    kind             text collate "C" not null,
    queue            text collate "C" not null,
    args             json not null,
    tenant_id        text collate "C",
    correlation_id   text collate "C",
    unique_key       text collate "C",
    ordering_key     text collate "C",
    worker           text collate "C",
    attempts         jsonb
);
create index jobs_ready on windlass_bench.jobs (queue, priority, run_at, id)
 where state in ('scheduled', 'available', 'retryable');
create index jobs_leases on windlass_bench.jobs (lease_expires_at)
 where state = 'running';
create table windlass_bench.finished_jobs (
    like windlass_bench.jobs,
    finished_at timestamptz not null,
    result      json
) partition by range (finished_at);
create table windlass_bench.yesterday partition of windlass_bench.finished_jobs
   for values from (minvalue) to (current_date);
create table windlass_bench.today partition of windlass_bench.finished_jobs
   for values from (current_date) to (maxvalue);
create index finished_jobs_id on windlass_bench.finished_jobs (id);
create index finished_jobs_finished_at on windlass_bench.finished_jobs (finished_at);
