-- The names of the steps $1. Caller: steps.rs.
select job_id, name
  from jobs.flow_steps
 where job_id = any ($1)
