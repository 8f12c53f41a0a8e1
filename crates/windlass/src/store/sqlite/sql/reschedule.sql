-- reschedule: the jobs of the array ?1 of [job, state, run at, attempt, crashes, attempts] wait again; a run at or
-- crashes of null stays as it was. Caller: finish.rs.
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
        unhex(value ->> 0, '-') as id,
        value ->> 1 as state,
        value ->> 2 as run_at,
        value ->> 3 as attempt,
        value ->> 4 as crashes,
        value ->> 5 as attempts
    from json_each(?1)
) as ended
where jobs.id = ended.id;
