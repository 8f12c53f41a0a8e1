-- prune: deletes up to ?4 jobs, longest finished first, that completed before ?1, were cancelled before ?2 or died
-- before ?3. Caller: prune.rs.
delete from jobs
where rowid in (
    select rowid
    from (
        select rowid, finished_at, id
        from jobs
        where finished_at is not null
        and state = 'completed'
        and finished_at < ?1
        union all
        select rowid, finished_at, id
        from jobs
        where finished_at is not null
        and state = 'cancelled'
        and finished_at < ?2
        union all
        select rowid, finished_at, id
        from jobs
        where finished_at is not null
        and state = 'dead'
        and finished_at < ?3
        order by finished_at, id
        limit ?4
    )
);
