-- Completes job $1 under its lease $2 with a result ($3), in a transaction that has added jobs to the lines of tenants $4
-- and keys $5. Caller: finish.rs.
select outcome, freed_queue, freed_priority, freed_run_at
  from jobs.complete_in($1, $2, $3, $4, $5)
