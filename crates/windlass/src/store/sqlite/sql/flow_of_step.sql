-- flow_of_step: the flow that job ?1 is a step of, and its name there. Caller: flows.rs.
select flow_id, name
from job_flow_steps
where job_id = ?1;
