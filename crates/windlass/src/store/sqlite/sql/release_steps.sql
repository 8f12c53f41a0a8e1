-- release_steps: lets the jobs of the array ?1 go at ?2, whose parents have ended; those that are ordered into their lines,
-- which move on next. Caller: steps.rs.
update jobs
set
    state = case when steps.ordering_key is not null then 'waiting' when jobs.run_at > ?2 then 'scheduled' else 'available' end,
    ordering_key = steps.ordering_key,
    run_at = max(jobs.run_at, ?2)
from json_each(?1) as released
join job_flow_steps as steps on steps.job_id = unhex(released.value, '-')
where jobs.id = steps.job_id
returning jobs.queue, jobs.state;
