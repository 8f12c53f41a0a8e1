-- fence: which leases of the array ?1 of [job, claim number, whether more must be known] are lost, and what must be
-- known of the others. Caller: finish.rs.
select
    json_group_array(wanted.key) filter (where jobs.id is null) as lost,
    json_group_array(
        json_array(
            wanted.key, jobs.attempt, jobs.worker, jobs.claimed_at, jobs.attempts, jobs.queue
        )
    ) filter (where jobs.id is not null and wanted.value ->> 2) as known,
    count(jobs.ordering_key) as ordered,
    count(jobs.unique_scope) as uniques
from json_each(?1) as wanted
left join jobs on jobs.id = unhex(wanted.value ->> 0, '-')
and jobs.claim_no = wanted.value ->> 1
and jobs.state = 'running';
