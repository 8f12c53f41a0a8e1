-- How long the oldest transaction of this database has been open, in milliseconds; null if there is no other. Called by
-- whoever looks at the system.
select (extract(epoch from max(now() - xact_start)) * 1000)::bigint
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
