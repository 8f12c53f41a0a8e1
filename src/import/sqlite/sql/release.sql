-- Gives the jobs in the JSON array ?1 back to apalis' workers. Called by an import.
update Jobs
set status = 'Pending'
where id in (select value from json_each(?1))
and status = 'Running'
and lock_by is null
