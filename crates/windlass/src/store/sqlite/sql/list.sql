-- list: up to ?9 jobs that match at ?1, newest first, older than ?8. A filter of null matches all. Caller: read.rs.
select *
from all_jobs
where (?8 is null or id < ?8)
and (
    ?2 is null
    or case
        when state in ('scheduled', 'retryable') and run_at <= ?1 then 'available'
        else state
    end in (select value from json_each(?2))
)
and (?3 is null or kind = ?3)
and (?4 is null or queue = ?4)
and (?5 is null or tenant_id = ?5)
and (?6 is null or correlation_id = ?6)
and (?7 is null or exists (select 1 from json_each(tags) where value = ?7))
order by id desc
limit ?9;
