-- The steps that wait for the steps $1. Caller: steps.rs.
select e.parent_id, s.job_id, s.runs_after, s.pending
  from jobs.flow_edges e
  join jobs.flow_steps s on s.job_id = e.child_id
 where e.parent_id = any ($1)
   and s.blocked
