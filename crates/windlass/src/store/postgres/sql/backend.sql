-- The server's process that answers: another one for each session.
select pg_backend_pid()
