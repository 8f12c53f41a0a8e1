-- complete: the jobs of the array ?1 are finished at ?2; what is null stays as it was, but for the result. Caller: finish.rs.
update jobs
set
    state = ended.state,
    result = ended.result,
    attempt = coalesce(ended.attempt, jobs.attempt),
    crashes = coalesce(ended.crashes, jobs.crashes),
    attempts = coalesce(ended.attempts, jobs.attempts),
    lease_expires_at = null,
    cancel_requested_at = null,
    finished_at = ?2
from (
    select
        unhex(value ->> 'id', '-') as id,
        value ->> 'state' as state,
        value ->> 'result' as result,
        value ->> 'attempt' as attempt,
        value ->> 'crashes' as crashes,
        value ->> 'attempts' as attempts
    from jsonb_each(?1)
) as ended
where jobs.id = ended.id;
