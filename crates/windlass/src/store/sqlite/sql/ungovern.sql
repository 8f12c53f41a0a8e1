-- ungovern: hands up to ?2 governed jobs of queue ?1 back to ordinary claims. Caller: governed.rs.
update jobs
set governed = 0
where rowid in (
    select rowid
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 1
    limit ?2
);
