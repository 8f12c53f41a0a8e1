-- prune: deletes up to ?4 jobs, longest finished first, that completed before ?1, were cancelled before ?2 or died
-- before ?3. Caller: prune.rs.
delete from finished_jobs
where id in (
    select id
    from (
        select id, finished_at
        from finished_jobs
        where state = 'completed'
        and finished_at < ?1
        union all
        select id, finished_at
        from finished_jobs
        where state = 'cancelled'
        and finished_at < ?2
        union all
        select id, finished_at
        from finished_jobs
        where state = 'dead'
        and finished_at < ?3
        order by finished_at, id
        limit ?4
    )
);
