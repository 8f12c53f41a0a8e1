-- The ids of jobs that wait, or that nobody holds although they look it, or with ?1 of all that are unfinished; of
-- the types in the JSON array ?2, or of all if that is null. Read by an import.
select id
from Jobs
where (
    status = 'Pending'
    or (status = 'Failed' and attempts < max_attempts)
    or (status in ('Queued', 'Running') and (lock_by is null or ?1))
)
and (?2 is null or job_type in (select value from json_each(?2)))
order by run_at, id
