-- reschedule: the jobs of the array ?1 wait again, or are set aside at ?2, as their state says; what is null stays as it
-- was. Caller: outcomes.rs.
update jobs
set
    state = ended.state,
    run_at = coalesce(ended.run_at, jobs.run_at),
    attempt = coalesce(ended.attempt, jobs.attempt),
    crashes = coalesce(ended.crashes, jobs.crashes),
    attempts = coalesce(ended.attempts, jobs.attempts),
    lease_expires_at = null,
    cancel_requested_at = null,
    finished_at = case when ended.state in ('completed', 'cancelled', 'dead') then ?2 end
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
