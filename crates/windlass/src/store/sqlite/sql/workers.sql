-- workers: those that reported since ?1. Caller: workers.rs.
select
    id, host, pid, version, queues, slots, running, started_at, beat_at, draining
from job_workers
where beat_at >= ?1
order by id;
