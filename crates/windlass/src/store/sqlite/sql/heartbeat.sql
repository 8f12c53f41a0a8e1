-- heartbeat: extends the leases of the array ?1 of [job, claim number] until ?2. Caller: leases.rs.
update jobs
set lease_expires_at = ?2
where state = 'running'
and (id, claim_no) in (
    select unhex(value ->> 0, '-'), value ->> 1
    from jsonb_each(?1)
)
returning id, claim_no, cancel_requested_at is not null as cancel_requested;
