-- Takes the jobs $1 from apalis' workers: one that runs, and that no worker holds, is neither fetched nor rescued nor
-- deleted there. With $2 also what workers hold. Called by an import.
update apalis.jobs
set
    status = 'Running',
    lock_by = null,
    lock_at = null
where id = any($1)
and (
    status = 'Pending'
    or (status = 'Failed' and attempts < max_attempts)
    or (status in ('Queued', 'Running') and (lock_by is null or $2))
)
returning id
