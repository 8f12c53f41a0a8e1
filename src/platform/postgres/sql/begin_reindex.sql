-- Makes this connection the one that makes an index anew: it may take as long as it takes, waits at most $1 milliseconds
-- for a lock, and ends when its client is gone. Says whether nobody else does so, and which backend it is. Called once
-- per connection.
select
    pg_try_advisory_lock(hashtext('metachat_jobs.reindex')) as alone,
    pg_backend_pid() as backend
from set_config('statement_timeout', '0', false) as a
cross join set_config('idle_in_transaction_session_timeout', '0', false) as b
cross join set_config('lock_timeout', $1, false) as c
cross join set_config('client_connection_check_interval', '2s', false) as d
