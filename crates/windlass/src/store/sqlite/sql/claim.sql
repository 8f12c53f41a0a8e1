-- claim: leases up to ?3 due jobs of queue ?1 at ?2 to worker ?4 until ?5, after claim_due has told them. Caller: claim.rs.
update or fail jobs
set
    state = 'running',
    attempt = attempt + 1,
    claim_no = claim_no + 1,
    worker = ?4,
    claimed_at = ?2,
    lease_expires_at = ?5,
    cancel_requested_at = null
where rowid in (
    select rowid
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    and priority in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    and run_at <= ?2
    order by priority, run_at, id
    limit 0 + ?3
);
