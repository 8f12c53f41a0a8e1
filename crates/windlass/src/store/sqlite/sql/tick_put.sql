-- tick_put: records tick ?2 of schedule ?1, of origin ?3, as ?4 with job ?5, at ?6. One that was left out before may
-- be fired after all. Caller: schedules.rs.
insert into job_ticks (schedule, fire_at, origin, outcome, job_id, open, fired_at)
values (?1, ?2, ?3, ?4, ?5, ?5 is not null, ?6)
on conflict (schedule, fire_at) do update
set
    origin = excluded.origin,
    outcome = excluded.outcome,
    job_id = excluded.job_id,
    open = excluded.open,
    state = null,
    fired_at = excluded.fired_at;
