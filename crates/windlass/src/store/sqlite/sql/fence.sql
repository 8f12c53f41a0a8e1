-- fence: of the leases in the array ?1 of [job, claim number, whether its attempt must be known], those that are lost
-- and those that more must be known of; leases that are simply held are not told. Caller: finish.rs.
select
    wanted.key as place,
    jobs.id is not null as held,
    jobs.ordering_key is not null or jobs.unique_scope is not null as keyed,
    jobs.flow_id is not null as step,
    jobs.queue,
    jobs.attempt,
    jobs.claim_no,
    jobs.worker,
    jobs.claimed_at,
    jobs.attempts,
    jobs.cancel_requested_at is not null as cancel_requested
from jsonb_each(?1) as wanted
left join jobs on jobs.id = unhex(wanted.value ->> 0, '-')
and jobs.claim_no = wanted.value ->> 1
and jobs.state = 'running'
where jobs.id is null
or jobs.ordering_key is not null
or jobs.unique_scope is not null
or jobs.flow_id is not null
or wanted.value ->> 2;
