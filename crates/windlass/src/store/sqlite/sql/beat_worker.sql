-- beat_worker: worker ?1 lives at ?8. Caller: workers.rs.
insert into job_workers (
    id, host, pid, version, queues, slots, running, started_at, beat_at, draining
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)
on conflict (id) do update
set
    host = excluded.host,
    pid = excluded.pid,
    version = excluded.version,
    queues = excluded.queues,
    slots = excluded.slots,
    running = excluded.running,
    beat_at = excluded.beat_at,
    draining = excluded.draining;
