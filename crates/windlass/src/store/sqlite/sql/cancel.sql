-- cancel: a running job ?1 is asked to stop at ?2. One that does not run is finished instead. Caller: operate.rs.
update jobs
set cancel_requested_at = coalesce(cancel_requested_at, ?2)
where id = ?1
and state = 'running';
