-- Of each table its name and the statement that counts its rows.
select name, printf('select count(*) from "%w"', name) from sqlite_schema
 where type = 'table'
   and name not like 'sqlite\_%' escape '\'
 order by name;
