-- reach: how far back a search before id ?2 comes that looks at no more than ?1 jobs: of tenant ?3, or of any if that is
-- null. No row: to the end. Caller: read.rs.
select *
from (
    select id
    from jobs
    where tenant_id = ?3
    and id < ?2
    order by id desc
    limit 1 offset ?1
)
union all
select *
from (
    select id
    from jobs
    where ?3 is null
    and id < ?2
    order by id desc
    limit 1 offset ?1
);
