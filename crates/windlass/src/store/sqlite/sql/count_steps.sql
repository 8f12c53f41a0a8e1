-- count_steps: counts steps that have ended, or no longer have, the array ?1 of [flow, completed, failed, skipped]; a flow is
-- finished at ?2 if they were the last. Caller: steps.rs.
update job_flows
set
    completed = job_flows.completed + (ended.value ->> 1),
    failed = job_flows.failed + (ended.value ->> 2),
    skipped = job_flows.skipped + (ended.value ->> 3),
    finished_at = iif(
        job_flows.completed + (ended.value ->> 1) + job_flows.failed + (ended.value ->> 2) + job_flows.skipped
        + (ended.value ->> 3) = job_flows.steps,
        ?2,
        null
    )
from jsonb_each(?1) as ended
where job_flows.id = unhex(ended.value ->> 0, '-');
