-- Records ticks $2 of schedule $1 as missed, at $3 (or now). Caller: schedules.rs.
insert into jobs.ticks (schedule, fire_at, origin, outcome, open, fired_at)
select $1, missed.fire_at, 'scheduled', 'skipped_missed', false, coalesce($3, clock_timestamp())
  from unnest($2::timestamptz[]) as missed (fire_at)
    on conflict (schedule, fire_at) do nothing
