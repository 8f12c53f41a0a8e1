-- enqueue_known: which of the ids in the array ?1 exist, finished or not. Caller: enqueue.rs.
select all_jobs.id
from json_each(?1) as wanted
join all_jobs on all_jobs.id = unhex(wanted.value, '-');
