-- Asks the running jobs $1 to stop, at $2 (or now). Caller: flows.rs.
update jobs.jobs
   set cancel_requested_at = coalesce(cancel_requested_at, $2, clock_timestamp())
 where id = any ($1)
