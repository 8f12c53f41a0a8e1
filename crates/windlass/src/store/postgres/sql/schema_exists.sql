-- Whether the schema and its list of migrations are there. Caller: schema.rs.
select to_regnamespace('jobs') is not null, to_regclass('jobs._migrations') is not null
