-- replace: an unfinished job ?1 takes over the args ?2, priority ?3 and time ?4 of another at ?5. Caller: enqueue.rs.
update jobs
set
    args = ?2,
    priority = ?3,
    run_at = ?4,
    state = case
        when state = 'waiting' then 'waiting'
        when ?4 > ?5 then 'scheduled'
        else 'available'
    end
where id = ?1
and finished_at is null
and state <> 'running'
returning queue, state;
