-- Writes down that jobs ($1) wait for signals ($2) until times ($3); says which have come. The jobs are locked. Caller: signals.rs.
insert into jobs.signals (job_id, name, awaited_until)
select job_id, name, awaited_until
  from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as awaited (job_id, name, awaited_until)
    on conflict (job_id, name) do update
   set awaited_until = excluded.awaited_until
returning job_id, payload is not null as come
