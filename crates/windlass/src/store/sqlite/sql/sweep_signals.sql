-- sweep_signals: deletes up to ?1 signals whose job has finished or gone. Caller: signals.rs.
delete from job_signals
where (job_id, name) in (
    select signals.job_id, signals.name
    from job_signals as signals
    left join jobs on jobs.id = signals.job_id
    where jobs.id is null
    or jobs.finished_at is not null
    limit ?1
);
