-- Gives the jobs $1 back to apalis' workers. Called by an import.
update apalis.jobs
set status = 'Pending'
where id = any($1)
and status = 'Running'
and lock_by is null
