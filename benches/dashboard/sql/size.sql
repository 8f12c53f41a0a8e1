-- What the database has come to.
select pg_size_pretty(pg_database_size(current_database()))
