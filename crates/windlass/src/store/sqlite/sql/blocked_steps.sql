-- blocked_steps: all steps of the flows of the array ?1 that wait, with all their parents. Caller: steps.rs.
select
    edges.parent_id,
    steps.job_id,
    steps.runs_after,
    steps.pending
from json_each(?1) as flows
join job_flow_steps as steps on steps.flow_id = unhex(flows.value, '-')
join job_flow_edges as edges on edges.child_id = steps.job_id
where steps.blocked;
