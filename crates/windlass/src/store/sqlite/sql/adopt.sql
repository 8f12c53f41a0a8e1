-- adopt: makes up to ?2 jobs of queue ?1 governed that were enqueued before it was. Caller: governed.rs.
update jobs
set governed = 1
where rowid in (
    select rowid
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    order by priority, run_at, id
    limit ?2
);
