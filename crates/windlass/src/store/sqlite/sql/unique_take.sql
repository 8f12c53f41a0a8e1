-- unique_take: takes the keys of the array ?1 of [key, job, held until, digest], which are free.
-- Callers: enqueue.rs, operate.rs.
insert into job_unique_keys (key, job_id, held_until, digest)
select value ->> 0, unhex(value ->> 1, '-'), value ->> 2, value ->> 3
from json_each(?1)
where true
on conflict (key) do update
set
    job_id = excluded.job_id,
    held_until = excluded.held_until,
    digest = excluded.digest;
