-- list: up to ?9 jobs that match at ?1, newest first, before id ?8 and not before ?11; of the states ?2, kind ?3, queue ?4, tenant ?5,
-- correlation id ?6 and tag ?7, each of which matches all if it is null. A branch for each index that can carry the
-- search; ?10 says which to take if there is no tenant and no correlation id. Caller: read.rs.
with candidates as not materialized (
    select
        *,
        (
            ?2 is null
            or case
                when state in ('scheduled', 'retryable') and run_at <= ?1 then 'available'
                else state
            end in (select value from json_each(?2))
        )
        and (?3 is null or kind = ?3)
        and (?4 is null or queue = ?4)
        and (?5 is null or tenant_id = ?5)
        and (?7 is null or exists (select 1 from json_each(tags) where value = ?7)) as matches
    from jobs
)

select *
from candidates
where correlation_id = ?6
and id < ?8
and id >= ?11
and matches
union all
select *
from candidates
where ?6 is null
and tenant_id = ?5
and id < ?8
and id >= ?11
and matches
union all
select *
from candidates
where ?10 = 'set aside'
and state in ('cancelled', 'dead')
and id < ?8
and id >= ?11
and matches
union all
select *
from candidates
where ?10 = 'unfinished'
and id in (
    select id
    from jobs
    where (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    union all
    select id
    from jobs
    where (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 1
    union all
    select id
    from jobs
    where state = 'running'
    union all
    select id
    from jobs
    where state = 'waiting'
)
and id < ?8
and id >= ?11
and matches
union all
select *
from candidates
where ?10 = 'newest'
and id < ?8
and id >= ?11
and matches
order by id desc
limit ?9;
