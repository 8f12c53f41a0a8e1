-- running_together: how many jobs of governed queue ?1 run, whatever their kind and key. Caller: governed.rs.
select
    '' as kind,
    '' as key,
    count(*) as jobs
from jobs
where queue = ?1
and state = 'running'
and governed = 1;
