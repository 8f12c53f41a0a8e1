-- unique_take: takes the keys of the array ?1, which are free. Caller: keys.rs.
insert into job_unique_keys (key, job_id, held_until, digest)
select value ->> 'key', unhex(value ->> 'job_id', '-'), value ->> 'held_until', value ->> 'digest'
from jsonb_each(?1)
where true -- so that `on conflict` is not read as a join's
on conflict (key) do update
set
    job_id = excluded.job_id,
    held_until = excluded.held_until,
    digest = excluded.digest;
