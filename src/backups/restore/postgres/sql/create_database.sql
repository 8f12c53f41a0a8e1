-- Writes the statement that makes an empty database for what is restored.
select format('create database %I template template0', $1::text);
