-- drop_signals: deletes the signals of the jobs of the array ?1, which start from the beginning. Callers: flows.rs, operate.rs.
delete from job_signals
where job_id in (
    select unhex(value, '-')
    from json_each(?1)
);
