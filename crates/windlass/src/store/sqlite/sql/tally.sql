-- tally: adds each [queue, measure, n] of ?2 to its minute and its hour at ?1, in seconds. Caller:
-- tallies.rs.
insert into job_tallies (step, at, queue, measure, n)
select s.value, ?1 / s.value * s.value, c.value ->> 0, c.value ->> 1, c.value ->> 2
from json_each(?2) as c, json_each('[60, 3600]') as s
where true
on conflict (step, at, queue, measure) do update
set n = n + excluded.n;
