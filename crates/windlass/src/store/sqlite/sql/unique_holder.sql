-- unique_holder: who holds which of the keys in the array ?1 at ?2. Caller: keys.rs.
select
    held.key,
    held.job_id,
    held.digest,
    holder.id is not null and holder.state <> 'running' as replaceable
from json_each(?1) as wanted
join job_unique_keys as held on held.key = wanted.value
left join jobs as holder on holder.id = held.job_id
and holder.finished_at is null
where held.held_until > ?2
or (held.digest is null and holder.id is not null);
