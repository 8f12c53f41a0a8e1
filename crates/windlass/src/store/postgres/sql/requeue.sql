-- Makes unfinished job $1 available at once, at $2 (or now). Caller: operate.rs.
update jobs.jobs
   set state = 'available',
       run_at = coalesce($2, clock_timestamp())
 where id = $1
returning queue, priority, run_at
