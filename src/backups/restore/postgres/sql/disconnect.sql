-- Ends who is still connected to a database, and waits for it: one that is in use cannot be renamed.
select count(pg_terminate_backend(pid, 5000))
from pg_stat_activity
where datname = $1 and pid <> pg_backend_pid();
