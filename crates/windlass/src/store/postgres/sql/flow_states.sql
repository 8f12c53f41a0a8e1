-- All steps of flow $1, by place, as far as a retry has to know them. Caller: flows.rs.
select job_id, name, runs_after, ended_as, blocked
  from jobs.flow_steps
 where flow_id = $1
 order by position
