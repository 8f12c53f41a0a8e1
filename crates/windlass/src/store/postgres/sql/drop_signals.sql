-- Deletes the signals of the jobs $1, which start from the beginning. Callers: flows.rs, operate.rs.
delete from jobs.signals
 where job_id = any ($1)
