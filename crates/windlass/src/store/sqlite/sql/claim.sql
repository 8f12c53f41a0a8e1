-- claim: takes up to ?5 due jobs of queue ?1 for worker ?2 at ?3, leased until ?4. Caller: claim.rs.
update jobs
set
    state = 'running',
    attempt = attempt + 1,
    claim_no = claim_no + 1,
    worker = ?2,
    claimed_at = ?3,
    lease_expires_at = ?4,
    cancel_requested_at = null
where id in (
    select id
    from jobs
    where queue = ?1
    and state in ('scheduled', 'available', 'retryable')
    and priority in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    and run_at <= ?3
    order by priority, run_at, id
    limit ?5
)
returning
    id, kind, args, priority, run_at, attempt, max_attempts, crashes, claim_no, tenant_id,
    correlation_id, trace_parent, ordering_key, enqueued_at;
