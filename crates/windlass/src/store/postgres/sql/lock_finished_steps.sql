-- Which of the jobs $1 have finished and are kept, locked. Caller: flows.rs.
select id
  from jobs.finished_jobs
 where id = any ($1)
   for update
