-- Flows: jobs that wait for other jobs. And signals: messages that a job may wait for.
--
-- What a flow needs to know of a step stays with the step, so that retention may take the job.

alter table jobs add column flow_id blob;

create table job_flows (
    id blob primary key not null,
    name text not null,
    tenant_id text,
    correlation_id text,
    created_at integer not null,
    finished_at integer,
    steps integer not null,
    completed integer not null default 0,
    failed integer not null default 0,
    skipped integer not null default 0
) strict, without rowid;

create index job_flows_tenant on job_flows (tenant_id, id)
where tenant_id is not null;

create index job_flows_finished_at on job_flows (finished_at, id)
where finished_at is not null;

create table job_flow_steps (
    job_id blob primary key not null,
    flow_id blob not null,
    position integer not null,
    name text not null,
    kind text not null,
    runs_after text not null, -- success, failure or finished
    pending integer not null, -- parents that have not ended, while it is blocked
    blocked integer not null, -- its job waits for its parents
    ordering_key text, -- what its job is ordered by once it may run
    ended_as text, -- completed, cancelled, dead or skipped
    result text,
    reason text
) strict, without rowid;

create unique index job_flow_steps_position on job_flow_steps (flow_id, position);

create unique index job_flow_steps_name on job_flow_steps (flow_id, name);

create index job_flow_steps_blocked on job_flow_steps (flow_id)
where blocked;

create table job_flow_edges (
    parent_id blob not null,
    child_id blob not null,
    primary key (parent_id, child_id)
) strict, without rowid;

create index job_flow_edges_child on job_flow_edges (child_id, parent_id);

create table job_signals (
    job_id blob not null,
    name text not null,
    payload text, -- null until it has come
    awaited_until integer,
    primary key (job_id, name)
) strict, without rowid;
