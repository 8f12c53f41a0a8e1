-- put_signal: leaves signal ?2 with payload ?3 for job ?1; says until when the job waits for it. Caller: signals.rs.
insert into job_signals (job_id, name, payload)
values (?1, ?2, ?3)
on conflict (job_id, name) do update
set payload = excluded.payload
returning awaited_until;
