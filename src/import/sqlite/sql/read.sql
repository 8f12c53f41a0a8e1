-- The jobs in the JSON array ?1, with whichever columns their version of apalis has. Read by an import.
select *
from Jobs
where id in (select value from json_each(?1))
