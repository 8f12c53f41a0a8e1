-- Writes the statement that takes away a database, whoever is connected to it.
select format('drop database if exists %I with (force)', $1::text);
