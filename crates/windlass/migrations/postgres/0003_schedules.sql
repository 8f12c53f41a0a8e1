-- The timetable, and every tick of it.

-- What is to be done and when (as model::Schedule reads it), and how it stands. `decided_until` only
-- grows: every tick up to there has been fired or left out. Whoever fires a tick locks this row first.
create table jobs.schedules (
    name          text collate "C" primary key,
    definition    json not null,
    decided_until timestamptz not null,
    declared_at   timestamptz not null,
    retired_at    timestamptz,
    paused_at     timestamptz,
    paused_note   text
) with (fillfactor = 50);

-- One row for each tick that fired or was left out: the primary key is what makes it fire once. A tick
-- is open until it is noted how its job ended.
create table jobs.ticks (
    schedule text collate "C" not null,
    fire_at  timestamptz not null,
    origin   text collate "C" not null check (origin in ('scheduled', 'catch_up', 'run_now', 'backfill')),
    outcome  text collate "C" not null
        check (outcome in ('fired', 'skipped_missed', 'skipped_overlap', 'skipped_duplicate')),
    fired_at timestamptz not null,
    job_id   uuid,
    open     boolean not null,
    state    text collate "C",
    primary key (schedule, fire_at)
);

create index ticks_open on jobs.ticks (schedule, fire_at)
 where open;
