-- unique_expire: deletes up to ?2 keys whose window has passed at ?1 and that no unfinished job holds. Caller: prune.rs.
delete from job_unique_keys
where key in (
    select held.key
    from job_unique_keys as held
    where held.held_until <= ?1
    and (
        held.digest is not null
        or not exists (
            select 1
            from jobs
            where jobs.id = held.job_id
            and jobs.finished_at is null
        )
    )
    limit ?2
);
