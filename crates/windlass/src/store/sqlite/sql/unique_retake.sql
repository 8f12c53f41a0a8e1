-- unique_retake: the finished job ?1 takes its unique key back if it is free at ?2; unique_kept_by tells. Caller: keys.rs.
insert into job_unique_keys (key, job_id)
select unique_scope, id
from jobs
where id = ?1
and unique_scope is not null
on conflict (key) do update
set
    job_id = excluded.job_id,
    held_until = null
where job_unique_keys.job_id <> excluded.job_id
and ifnull(job_unique_keys.held_until <= ?2, true)
and not exists (
    select 1
    from jobs
    where jobs.id = job_unique_keys.job_id
    and jobs.finished_at is null
);
