-- flow_steps: up to ?4 steps of flow ?1, of tenant ?2 if one is given, from place ?3 on, each with up to ?5 parents. Caller: flows.rs.
select
    steps.position,
    steps.name,
    steps.job_id,
    steps.kind,
    steps.runs_after,
    steps.pending,
    steps.ended_as,
    steps.reason,
    jobs.state,
    jobs.run_at,
    (
        select json_group_array(name)
        from (
            select parents.name
            from job_flow_edges as edges
            join job_flow_steps as parents on parents.job_id = edges.parent_id
            where edges.child_id = steps.job_id
            order by parents.position
            limit ?5
        )
    ) as parents
from job_flows
join job_flow_steps as steps on steps.flow_id = job_flows.id
left join jobs on jobs.id = steps.job_id
where job_flows.id = ?1
and (?2 is null or job_flows.tenant_id = ?2)
and steps.position >= ?3
order by steps.position
limit ?4;
