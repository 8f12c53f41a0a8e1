-- Canaries: rows whose time is known. A recovery to a moment must find exactly those planted until then.

create table jobs.backup_canaries (
    planted_at timestamptz primary key
);
