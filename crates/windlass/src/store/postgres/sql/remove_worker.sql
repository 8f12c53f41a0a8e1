-- Forgets worker $1, and those silent for more than a day at $2 (or now). Caller: processes.rs.
delete from jobs.workers
 where id = $1
    or beat_at < coalesce($2, clock_timestamp()) - interval '24 hours'
