-- await_signal: writes down that jobs wait for signals, the array ?1 of [job, signal, until]; says which have come. Caller: signals.rs.
insert into job_signals (job_id, name, awaited_until)
select
    unhex(value ->> 0, '-'),
    value ->> 1,
    value ->> 2
from jsonb_each(?1)
where true -- so that `on conflict` is not read as a join's
on conflict (job_id, name) do update
set awaited_until = excluded.awaited_until
returning job_id, payload is not null as come;
