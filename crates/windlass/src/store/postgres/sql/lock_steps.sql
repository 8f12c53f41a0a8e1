-- The unfinished jobs of flow $1 and their states, locked in order. Caller: flows.rs.
select id, state
  from jobs.jobs
 where id = any (array (
        select job_id
          from jobs.flow_steps
         where flow_id = $1
           and ended_as is null))
 order by id
   for update
