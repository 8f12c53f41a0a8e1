-- tick_settle: notes how the jobs of up to ?1 open ticks ended. Caller: schedules.rs.
update job_ticks
set
    open = 0,
    state = (select jobs.state from jobs where jobs.id = job_ticks.job_id)
where rowid in (
    select t.rowid
    from job_ticks as t
    where t.open
    and not exists (
        select 1
        from jobs
        where jobs.id = t.job_id
        and jobs.finished_at is null
    )
    limit ?1
);
