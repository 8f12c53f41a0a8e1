-- remove_worker: forgets worker ?1 and those silent since before ?2. Caller: workers.rs.
delete from job_workers
where id = ?1
or beat_at < ?2;
