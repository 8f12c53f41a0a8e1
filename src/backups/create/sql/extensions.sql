-- The extensions of the database, with their versions.
select
    extname::text as name,
    extversion as version
from pg_extension
order by extname
