-- step_names: the names of the steps of the array ?1. Caller: steps.rs.
select job_id, name
from job_flow_steps
where job_id in (
    select unhex(value, '-')
    from json_each(?1)
);
