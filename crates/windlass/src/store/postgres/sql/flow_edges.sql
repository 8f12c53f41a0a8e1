-- Who waits for whom in flow $1. Caller: flows.rs.
select e.parent_id, e.child_id
  from jobs.flow_steps s
  join jobs.flow_edges e on e.child_id = s.job_id
 where s.flow_id = $1
