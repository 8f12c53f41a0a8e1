-- claim_governed: leases the jobs in the rows of the array ?1 at ?2 to worker ?3 until ?4, after governed_due has told them
-- in the same transaction. Caller: governed.rs.
update or fail jobs
set
    state = 'running',
    attempt = attempt + 1,
    claim_no = claim_no + 1,
    worker = ?3,
    claimed_at = ?2,
    lease_expires_at = ?4,
    cancel_requested_at = null
where rowid in (select value from json_each(?1));
