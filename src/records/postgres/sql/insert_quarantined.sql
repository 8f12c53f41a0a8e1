-- A message that could not become a job; one that is there already stays. Called by the intake.
insert into jobs.quarantine (id, tenant, source, reason, headers, body, body_bytes)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
