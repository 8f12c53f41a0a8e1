-- step_children: the steps that wait for the steps of the array ?1. Caller: steps.rs.
select
    edges.parent_id,
    steps.job_id,
    steps.runs_after,
    steps.pending
from json_each(?1) as ended
join job_flow_edges as edges on edges.parent_id = unhex(ended.value, '-')
join job_flow_steps as steps on steps.job_id = edges.child_id
where steps.blocked;
