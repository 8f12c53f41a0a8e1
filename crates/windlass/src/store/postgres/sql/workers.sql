-- Workers that reported within a day before $1 (or now). Caller: processes.rs.
select id, host, pid, version, queues, slots, running, started_at, beat_at, draining
  from jobs.workers
 where beat_at >= coalesce($1, clock_timestamp()) - interval '24 hours'
 order by id
