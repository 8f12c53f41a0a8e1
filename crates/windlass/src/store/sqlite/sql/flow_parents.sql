-- flow_parents: the parents of step ?1, by place. Caller: flows.rs.
select
    parents.name,
    parents.job_id,
    parents.kind,
    parents.ended_as,
    parents.result
from job_flow_edges as edges
join job_flow_steps as parents on parents.job_id = edges.parent_id
where edges.child_id = ?1
order by parents.position;
