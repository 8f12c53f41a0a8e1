-- The parents of step $1, by place. Caller: flows.rs.
select p.name, p.job_id, p.ended_as, p.result::text, p.kind
  from jobs.flow_edges e
  join jobs.flow_steps p on p.job_id = e.parent_id
 where e.child_id = $1
 order by p.position
