-- Which of the jobs $1 are unfinished, and so hold their unique keys. The keys are locked. Caller: keys.rs.
select id
  from jobs.jobs
 where id = any ($1)
