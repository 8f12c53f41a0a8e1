-- Unfinished job $1, which does not run, is due at $2, which lies ahead. What it waits for besides, it waits for still.
-- Caller: operate.rs.
update jobs.jobs
   set run_at = $2,
       state = case state when 'available' then 'scheduled' else state end
 where id = $1
   and state <> 'running'
returning queue, priority, run_at
