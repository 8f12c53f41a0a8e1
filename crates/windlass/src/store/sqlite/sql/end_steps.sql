-- end_steps: writes down how the steps of the array ?1 of [job, end, result, reason] ended. Caller: steps.rs.
update job_flow_steps
set
    ended_as = ended.value ->> 1,
    result = ended.value ->> 2,
    reason = ended.value ->> 3,
    blocked = false,
    pending = 0
from jsonb_each(?1) as ended
where job_flow_steps.job_id = unhex(ended.value ->> 0, '-')
and job_flow_steps.ended_as is null
returning job_flow_steps.flow_id, job_flow_steps.ended_as;
