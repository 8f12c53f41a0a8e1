-- unique_release: the finished jobs of the array ?1 let go of their unique keys, but for those still held by a window
-- at ?2. Caller: keys.rs.
delete from job_unique_keys
where (key, job_id) in (
    select jobs.unique_scope, jobs.id
    from json_each(?1) as ended
    join jobs on jobs.id = unhex(ended.value, '-')
)
and (held_until is null or held_until <= ?2);
