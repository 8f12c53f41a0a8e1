-- running: the running jobs of governed queue ?1 by kind and key. Caller: governed.rs.
select
    kind,
    coalesce(limit_key, tenant_id, '') as key,
    count(*) as jobs
from jobs
where queue = ?1
and state = 'running'
and governed = 1
group by kind, coalesce(limit_key, tenant_id, '');
