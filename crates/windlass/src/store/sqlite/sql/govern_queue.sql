-- govern_queue: makes new jobs of queue ?1 governed. Caller: governed.rs.
insert into job_governed_queues (queue)
values (?1)
on conflict (queue) do nothing;
