-- Looks at up to $2 signals after job $1, deletes those whose job has finished or gone, and says where to go on. Caller: signals.rs.
with seen as materialized (
    select s.job_id, s.name, not exists (select from jobs.jobs j where j.id = s.job_id) as over
      from jobs.signals s
     where s.job_id > $1
     order by s.job_id, s.name
     limit $2
       for update skip locked
),
dropped as (
    delete from jobs.signals
     where job_id = any (array (select job_id from seen where over))
)
select count(*), (array_agg(job_id order by job_id desc))[1]
  from seen
