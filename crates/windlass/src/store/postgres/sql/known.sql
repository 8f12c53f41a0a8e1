-- Which of the jobs $1 there are already, finished or not. Caller: enqueue.rs.
select id
  from jobs.jobs
 where id = any ($1)
 union all
select id
  from jobs.finished_jobs
 where id = any ($1)
