-- prune_edges: deletes who waits for whom in the flows of the array ?1. Caller: flows.rs.
delete from job_flow_edges
where child_id in (
    select job_id
    from job_flow_steps
    where flow_id in (
        select unhex(value, '-')
        from json_each(?1)
    )
);
