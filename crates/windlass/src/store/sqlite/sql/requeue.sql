-- requeue: an unfinished job ?1 that waits for its time is due at ?2. Caller: operate.rs.
update jobs
set
    run_at = ?2,
    state = 'available'
where id = ?1
and state in ('scheduled', 'available', 'retryable');
