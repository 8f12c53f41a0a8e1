-- The timetable, and every tick of it.

-- What is to be done and when (as model::Schedule reads it), and how it stands. `decided_until` only
-- grows: every tick up to there has been fired or left out.
create table job_schedules (
    name text primary key not null,
    definition text not null,
    decided_until integer not null,
    declared_at integer not null,
    retired_at integer,
    paused_at integer,
    paused_note text
) strict, without rowid;

-- One row for each tick that fired or was left out: the primary key is what makes it fire once. A tick
-- is open until it is noted how its job ended.
create table job_ticks (
    schedule text not null,
    fire_at integer not null,
    origin text not null,
    outcome text not null,
    fired_at integer not null,
    job_id blob,
    open integer not null,
    state text,
    primary key (schedule, fire_at)
) strict;

create index job_ticks_open on job_ticks (schedule, fire_at)
where open;

-- Retention goes by age.
create index job_ticks_fired on job_ticks (fired_at)
where not open;
