-- Makes jobs ($1), which have waited for a signal, available at $2 (or now); if $3 is set, only while they wait until then.
-- Caller: signals.rs.
update jobs.jobs
   set state = 'available',
       run_at = coalesce($2, clock_timestamp())
 where id = any ($1)
   and state = 'scheduled'
   and ($3::timestamptz is null or run_at = $3)
returning queue, priority, run_at
