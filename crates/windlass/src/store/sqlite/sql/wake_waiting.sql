-- wake_waiting: makes the jobs of the array ?1, which have waited for a signal, available at ?2; if ?3 is set, only while
-- they wait until then. Caller: signals.rs.
update jobs
set
    state = 'available',
    run_at = ?2
where id in (
    select unhex(value, '-')
    from json_each(?1)
)
and state = 'scheduled'
and (?3 is null or run_at = ?3)
returning queue;
