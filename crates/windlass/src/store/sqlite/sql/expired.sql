-- expired: up to ?2 jobs whose lease ran out before ?1, oldest first. Caller: leases.rs.
select
    id, kind, queue, worker, attempt, claim_no, crashes, claimed_at, attempts,
    flow_id is not null as step,
    cancel_requested_at is not null as cancel_requested
from jobs
where state = 'running'
and lease_expires_at < ?1
order by lease_expires_at, id
limit ?2;
