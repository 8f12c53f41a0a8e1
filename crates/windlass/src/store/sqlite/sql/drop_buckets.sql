-- drop_buckets: forgets up to ?2 buckets that nobody has drawn from since ?1: they have long been full. Caller: prune.rs.
delete from job_buckets
where (queue, name) in (
    select queue, name
    from job_buckets
    where at < ?1
    limit ?2
);
