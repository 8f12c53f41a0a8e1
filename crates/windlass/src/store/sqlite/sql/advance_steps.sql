-- advance_steps: writes down for how many parents steps wait and whether they still do, the array ?1 of [job, parents,
-- blocked]. Caller: steps.rs.
update job_flow_steps
set
    pending = moved.value ->> 1,
    blocked = moved.value ->> 2
from jsonb_each(?1) as moved
where job_flow_steps.job_id = unhex(moved.value ->> 0, '-');
