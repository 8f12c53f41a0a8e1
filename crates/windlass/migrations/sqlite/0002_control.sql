-- What operators decide while everything runs, and the record of who decided what.

-- Live settings, in spaces: pauses, drain orders, slots. The version is the one of all settings at
-- the moment of the change, so it never comes twice.
create table job_settings (
    space text not null,
    name text not null,
    value text not null,
    version integer not null,
    updated_at integer not null,
    primary key (space, name)
) strict, without rowid;

-- One row, which every change advances.
create table job_settings_version (
    one integer primary key not null check (one = 1),
    version integer not null
) strict;

insert into job_settings_version (one, version) values (1, 0);

-- Who did what, when, to what and why. Rows are only added; retention takes the oldest, and no
-- number comes twice.
create table job_audit (
    id integer primary key autoincrement,
    at integer not null,
    actor text not null,
    action text not null,
    subject text not null,
    tenant_id text,
    before text,
    after text,
    reason text
) strict;

create index job_audit_at on job_audit (at);

create trigger job_audit_refuse_change
before update on job_audit
begin
    select raise(abort, 'the audit log is only added to');
end;

-- Running jobs that were asked to stop, by who runs them: workers look here a few times a second.
create index jobs_cancel_wishes on jobs (worker)
where state = 'running' and cancel_requested_at is not null;
