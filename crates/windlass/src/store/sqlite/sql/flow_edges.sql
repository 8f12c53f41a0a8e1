-- flow_edges: who waits for whom in flow ?1. Caller: flows.rs.
select edges.parent_id, edges.child_id
from job_flow_steps as steps
join job_flow_edges as edges on edges.child_id = steps.job_id
where steps.flow_id = ?1;
