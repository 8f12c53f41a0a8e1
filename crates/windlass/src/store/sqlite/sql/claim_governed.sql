-- claim_governed: leases up to ?7 due jobs of the cell (?3 tenant, ?4 kind, ?5 key, ?6 priority) of queue ?1 at ?2 to worker
-- ?8 until ?9, after governed_due has told them. Caller: governed.rs.
update jobs
set
    state = 'running',
    attempt = attempt + 1,
    claim_no = claim_no + 1,
    worker = ?8,
    claimed_at = ?2,
    lease_expires_at = ?9,
    cancel_requested_at = null
where rowid in (
    select rowid
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 1
    and ifnull(tenant_id, '') = ?3
    and kind = ?4
    and coalesce(limit_key, tenant_id, '') = ?5
    and priority = ?6
    and run_at <= ?2
    order by run_at, id
    limit 0 + ?7
);
