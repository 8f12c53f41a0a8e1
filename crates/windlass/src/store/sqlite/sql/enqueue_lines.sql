-- enqueue_lines: which lines of the array ?1 of [ordering key, tenant or ''] have an unfinished job. Caller: keys.rs.
select
    wanted.value ->> 0 as ordering_key,
    wanted.value ->> 1 as tenant_id
from jsonb_each(?1) as wanted
where exists (
    select 1
    from jobs
    where ordering_key is not null
    and finished_at is null
    and ordering_key = wanted.value ->> 0
    and ifnull(tenant_id, '') = wanted.value ->> 1
);
