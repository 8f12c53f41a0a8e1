-- complete_plain: of the jobs of the array ?1 of [job, result, claim number], those that are held and have no keys are
-- done at ?2. Caller: finish.rs.
update or fail jobs
set
    state = 'completed',
    result = done.value ->> 1,
    lease_expires_at = null,
    cancel_requested_at = null,
    finished_at = ?2
from jsonb_each(?1) as done
where jobs.id = unhex(done.value ->> 0, '-')
and jobs.claim_no = done.value ->> 2
and +jobs.state = 'running'
and jobs.ordering_key is null
and jobs.unique_scope is null
and jobs.flow_id is null;
