-- flow_states: all steps of flow ?1, by place, as far as a retry or a cancel has to know them. Caller: flows.rs.
select
    steps.job_id,
    steps.name,
    steps.runs_after,
    steps.ended_as,
    steps.blocked,
    jobs.state
from job_flow_steps as steps
left join jobs on jobs.id = steps.job_id
where steps.flow_id = ?1
order by steps.position;
