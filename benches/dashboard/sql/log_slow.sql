-- Whatever takes this database more than 100 ms is told in the server's log.
do $$
begin
    execute format('alter database %I set log_min_duration_statement = ''100ms''', current_database());
end
$$
