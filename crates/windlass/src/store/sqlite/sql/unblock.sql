-- unblock: the lines of the finished jobs in the array ?1 move on: where a line has no head left, its first waiting job
-- becomes the head at ?2. Caller: keys.rs.
update jobs
set state = case when run_at > ?2 then 'scheduled' else 'available' end
where id in (
    select (
        select next.id
        from jobs as next
        where next.ordering_key is not null
        and next.finished_at is null
        and next.ordering_key = line.ordering_key
        and ifnull(next.tenant_id, '') = line.tenant_id
        order by next.enqueued_at, next.id
        limit 1
    )
    from (
        select distinct
            jobs.ordering_key,
            ifnull(jobs.tenant_id, '') as tenant_id
        from json_each(?1) as ended
        join jobs on jobs.id = unhex(ended.value, '-')
        where jobs.ordering_key is not null
    ) as line
    where not exists (
        select 1
        from jobs as head
        where head.ordering_key is not null
        and head.finished_at is null
        and head.state <> 'waiting'
        and head.ordering_key = line.ordering_key
        and ifnull(head.tenant_id, '') = line.tenant_id
    )
)
returning queue, state;
