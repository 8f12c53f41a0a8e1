-- prune_steps: deletes the steps of the flows of the array ?1. Caller: flows.rs.
delete from job_flow_steps
where flow_id in (
    select unhex(value, '-')
    from json_each(?1)
);
