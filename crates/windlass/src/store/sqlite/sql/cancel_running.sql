-- cancel_running: asks the running jobs of the array ?1 to stop, at ?2. Caller: flows.rs.
update jobs
set cancel_requested_at = coalesce(cancel_requested_at, ?2)
where id in (
    select unhex(value, '-')
    from json_each(?1)
);
