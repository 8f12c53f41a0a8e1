-- What is known of signal $2 of job $1. Caller: signals.rs.
select payload::text, awaited_until
  from jobs.signals
 where job_id = $1
   and name = $2
