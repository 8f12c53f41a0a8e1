-- finish_delete: the jobs of the array ?1, which finish_insert has copied, are no longer unfinished. Caller: finish.rs.
delete from jobs
where id in (
    select unhex(value, '-')
    from json_each(?1)
);
