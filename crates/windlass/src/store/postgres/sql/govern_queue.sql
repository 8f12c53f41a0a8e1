-- Makes new jobs of queue $1 governed. Caller: governed.rs.
insert into jobs.governed_queues (queue)
values ($1)
    on conflict (queue) do nothing
