-- requeue: job ?1 is in state ?2 and due at ?3; a finished one is unfinished again with all its attempts, its history
-- kept. Caller: operate.rs.
update jobs
set
    state = ?2,
    run_at = ?3,
    attempt = iif(finished_at is null, attempt, 0),
    crashes = iif(finished_at is null, crashes, 0),
    progress = iif(finished_at is null, progress, null),
    checkpoint = iif(finished_at is null, checkpoint, null),
    result = null,
    finished_at = null
where id = ?1
and state not in ('running', 'waiting');
