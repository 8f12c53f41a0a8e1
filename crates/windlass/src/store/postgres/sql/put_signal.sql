-- Leaves signal $2 with payload $3 for job $1; says until when the job waits for it. The job is locked. Caller: signals.rs.
insert into jobs.signals (job_id, name, payload)
values ($1, $2, $3::text::json)
    on conflict (job_id, name) do update
   set payload = excluded.payload
returning awaited_until
