-- Statements that the migrator has given names, before the session goes to somebody else.
do $$
declare
    statement text;
begin
    for statement in select name from pg_prepared_statements where name like 'sqlx\_s\_%' loop
        execute format('deallocate %I', statement);
    end loop;
end
$$
