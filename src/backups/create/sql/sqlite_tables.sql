-- The tables of a SQLite file, each with the statement that counts its rows.
select
    'main.' || name as table_name,
    format('select count(*) as row_count from "%w"', name) as count_statement
from sqlite_schema
where type = 'table'
    and name not like 'sqlite\_%' escape '\'
order by name
