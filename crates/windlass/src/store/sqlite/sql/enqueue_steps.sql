-- enqueue_steps: the jobs of the array ?2 of [job, blocked] are steps of flow ?1; those that are blocked wait. They have just
-- been enqueued. Caller: start.rs.
update jobs
set
    flow_id = ?1,
    state = iif(new.value ->> 1, 'waiting', state)
from jsonb_each(?2) as new
where jobs.id = unhex(new.value ->> 0, '-');
