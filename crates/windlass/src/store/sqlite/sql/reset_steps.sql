-- reset_steps: makes ended steps unfinished again, waiting for so many parents, the array ?1 of [job, parents]. Caller: flows.rs.
update job_flow_steps
set
    ended_as = null,
    result = null,
    reason = null,
    blocked = true,
    pending = again.value ->> 1
from jsonb_each(?1) as again
where job_flow_steps.job_id = unhex(again.value ->> 0, '-');
