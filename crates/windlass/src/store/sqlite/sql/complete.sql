-- complete: the jobs of the array ?1 of [job, result] are done at ?2. Caller: outcomes.rs.
update or fail jobs
set
    state = 'completed',
    result = done.value ->> 1,
    lease_expires_at = null,
    cancel_requested_at = null,
    finished_at = ?2
from jsonb_each(?1) as done
where jobs.id = unhex(done.value ->> 0, '-');
