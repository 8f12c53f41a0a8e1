-- tick_miss: records ticks ?2, a JSON array of times, of schedule ?1 as missed, at ?3. Caller: schedules.rs.
insert into job_ticks (schedule, fire_at, origin, outcome, open, fired_at)
select ?1, value, 'scheduled', 'skipped_missed', 0, ?3
from json_each(?2)
where true
on conflict (schedule, fire_at) do nothing;
