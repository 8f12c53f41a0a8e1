-- Canaries: rows whose time is known. A SQLite file is never recovered to a moment; the table is here so that
-- both dialects have the same ones.

create table backup_canaries (
    planted_at integer primary key
) strict;
