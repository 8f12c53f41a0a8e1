-- Strikes the jobs in the JSON array ?1 off: another system has them. Called by an import, once they are durable there.
update Jobs
set
    status = 'Killed',
    done_at = unixepoch()
where id in (select value from json_each(?1))
and status = 'Running'
and lock_by is null
