-- The extensions of this database.
select extname::text from pg_extension order by 1;
