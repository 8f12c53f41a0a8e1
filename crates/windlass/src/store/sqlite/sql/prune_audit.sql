-- prune_audit: deletes up to ?2 entries from before ?1, the oldest first. Caller: control.rs.
delete from job_audit
where id in (
    select id
    from job_audit
    where at < ?1
    order by at
    limit ?2
);
