-- set_time: unfinished job ?1, which does not run, is due at ?2, which lies ahead; what it waits for besides, it waits for
-- still. Caller: operate.rs.
update jobs
set
    run_at = ?2,
    state = iif(state = 'available', 'scheduled', state)
where id = ?1
and finished_at is null
and state <> 'running';
