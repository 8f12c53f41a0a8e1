-- revive_steps: makes the finished jobs of the array ?1 wait for their parents, with all their attempts, at ?2; in no line
-- yet. Caller: flows.rs.
update jobs
set
    state = 'waiting',
    run_at = ?2,
    ordering_key = null,
    attempt = 0,
    crashes = 0,
    progress = null,
    checkpoint = null,
    result = null,
    finished_at = null
where id in (
    select unhex(value, '-')
    from json_each(?1)
);
