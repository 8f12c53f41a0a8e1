-- Locks the flows of those of the jobs $1 that are steps, in order, until the transaction ends; says which job is of
-- which flow. After lines and before jobs. Caller: steps.rs.
select j.id, f.id
  from jobs.jobs j
  join jobs.flows f on f.id = j.flow_id
 where j.id = any ($1)
 order by f.id
   for update of f
