-- Sets session setting $1 to $2. Caller: postgres.rs, once per setting and connection.
select set_config($1, $2, false)
