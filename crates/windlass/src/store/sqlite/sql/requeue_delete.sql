-- requeue_delete: job ?1, which requeue_insert has copied, is no longer finished. Caller: operate.rs.
delete from finished_jobs
where id = ?1;
