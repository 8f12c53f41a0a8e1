-- Records that a worker lives, at $9 (or now). Caller: processes.rs.
insert into jobs.workers as w (id, host, pid, version, queues, slots, running, draining, started_at, beat_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, clock_timestamp()), coalesce($9, clock_timestamp()))
    on conflict (id) do update
   set host = excluded.host,
       pid = excluded.pid,
       version = excluded.version,
       queues = excluded.queues,
       slots = excluded.slots,
       running = excluded.running,
       draining = excluded.draining,
       beat_at = excluded.beat_at
