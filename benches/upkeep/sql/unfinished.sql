-- Jobs that are not finished, and jobs that ended badly.
select (select count(*) from jobs.jobs), (select count(*) from jobs.finished_jobs where state <> 'completed')
