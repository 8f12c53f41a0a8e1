-- Writes the statement that gives a database the name it is to have.
select format('alter database %I rename to %I', $1::text, $2::text);
