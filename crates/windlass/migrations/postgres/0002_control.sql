-- What operators decide while everything runs, and the record of who decided what.

-- Live settings, in spaces: pauses, drain orders, slots. The version is the one of all settings at
-- the moment of the change, so it never comes twice.
create table jobs.settings (
    space      text collate "C" not null,
    name       text collate "C" not null,
    value      json not null,
    version    bigint not null,
    updated_at timestamptz not null,
    primary key (space, name)
);

-- One row, which every change locks and advances: changes commit in the order of their versions, and
-- whoever polls it misses none.
create table jobs.settings_version (
    one     boolean primary key default true check (one),
    version bigint not null
) with (fillfactor = 50);

insert into jobs.settings_version (version) values (0);

-- Who did what, when, to what and why. Rows are only added; retention takes the oldest.
create table jobs.audit (
    id        bigint generated always as identity primary key,
    at        timestamptz not null,
    actor     text not null,
    action    text not null,
    subject   text not null,
    tenant_id text,
    before    json,
    after     json,
    reason    text
);

create index audit_at on jobs.audit (at);

create function jobs.refuse_change_of_audit() returns trigger
language plpgsql
as $$
begin
    raise exception 'the audit log is only added to'
        using errcode = 'restrict_violation', hint = 'record another entry that says what was wrong';
end
$$;

create trigger refuse_change
before update or truncate on jobs.audit
   for each statement execute function jobs.refuse_change_of_audit();

-- Running jobs that were asked to stop, by who runs them: workers look here a few times a second.
create index jobs_cancel_wishes on jobs.jobs (worker)
 where state = 'running' and cancel_requested_at is not null;
