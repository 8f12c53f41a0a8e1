-- The jobs $1 as JSON, whichever columns their version of apalis has; args that are bytes in hexadecimal. Read by an
-- import.
select to_jsonb(j)::text
from apalis.jobs j
where j.id = any($1)
