-- All steps of the flows $1 that wait, with all their parents. Caller: steps.rs.
select e.parent_id, s.job_id, s.runs_after, s.pending
  from jobs.flow_steps s
  join jobs.flow_edges e on e.child_id = s.job_id
 where s.flow_id = any ($1)
   and s.blocked
