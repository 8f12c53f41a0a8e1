-- reschedule: the jobs of the array ?1 wait again; a run_at or crashes of null stays as it was. Caller: finish.rs.
update jobs
set
    state = ended.state,
    run_at = coalesce(ended.run_at, jobs.run_at),
    attempt = ended.attempt,
    crashes = coalesce(ended.crashes, jobs.crashes),
    attempts = ended.attempts,
    lease_expires_at = null,
    cancel_requested_at = null
from (
    select
        unhex(value ->> 'id', '-') as id,
        value ->> 'state' as state,
        value ->> 'run_at' as run_at,
        value ->> 'attempt' as attempt,
        value ->> 'crashes' as crashes,
        value ->> 'attempts' as attempts
    from jsonb_each(?1)
) as ended
where jobs.id = ended.id;
