-- ungovern_queue: new jobs of queue ?1 are no longer governed. Caller: governed.rs.
delete from job_governed_queues
where queue = ?1;
