-- Flows: jobs that wait for other jobs. And signals: messages that a job may wait for.
--
-- What a flow needs to know of a step stays with the step, so that retention may take the job.
-- Whoever ends a step's job holds the flow's row until his transaction ends: of several parents that
-- end at once, the last one lets the child go, and only he.

alter table jobs.jobs add column flow_id uuid;

create table jobs.flows (
    id             uuid primary key,
    name           text collate "C" not null,
    tenant_id      text collate "C",
    correlation_id text collate "C",
    created_at     timestamptz not null,
    finished_at    timestamptz,
    steps          int not null,
    completed      int not null default 0,
    failed         int not null default 0,
    skipped        int not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

create index flows_tenant on jobs.flows (tenant_id, id)
 where tenant_id is not null;
create index flows_finished_at on jobs.flows (finished_at, id)
 where finished_at is not null;
create index flows_unfinished on jobs.flows (id)
 where finished_at is null;

create table jobs.flow_steps (
    job_id       uuid primary key,
    flow_id      uuid not null,
    position     int not null,
    name         text collate "C" not null,
    kind         text collate "C" not null,
    runs_after   text collate "C" not null check (runs_after in ('success', 'failure', 'finished')),
    pending      int not null, -- parents that have not ended, while it is blocked
    blocked      boolean not null, -- its job waits for its parents
    ordering_key text collate "C", -- what its job is ordered by once it may run
    ended_as     text collate "C" check (ended_as in ('completed', 'cancelled', 'dead', 'skipped')),
    result       json,
    reason       text
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

create unique index flow_steps_position on jobs.flow_steps (flow_id, position);
create unique index flow_steps_name on jobs.flow_steps (flow_id, name);
create index flow_steps_blocked on jobs.flow_steps (flow_id)
 where blocked;
create index flow_steps_in_line on jobs.flow_steps (flow_id)
 where ordering_key is not null;

create table jobs.flow_edges (
    parent_id uuid not null,
    child_id  uuid not null,
    primary key (parent_id, child_id)
);

create index flow_edges_child on jobs.flow_edges (child_id, parent_id);

create table jobs.signals (
    job_id        uuid not null,
    name          text collate "C" not null,
    payload       json, -- null until it has come
    awaited_until timestamptz,
    primary key (job_id, name)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
