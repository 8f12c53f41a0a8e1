-- known: which of the ids in the array ?1 exist. Caller: enqueue.rs.
select jobs.id
from json_each(?1) as wanted
join jobs on jobs.id = unhex(wanted.value, '-');
