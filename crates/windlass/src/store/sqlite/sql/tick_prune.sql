-- tick_prune: deletes up to ?3 ticks that were recorded before ?1 and are not among the latest ?2 of their schedule.
-- Caller: schedules.rs.
delete from job_ticks
where rowid in (
    select t.rowid
    from job_ticks as t
    where not t.open
    and t.fired_at < ?1
    and t.fire_at < (
        select k.fire_at
        from job_ticks as k
        where k.schedule = t.schedule
        order by k.fire_at desc
        limit 1 offset ?2 - 1
    )
    limit ?3
);
