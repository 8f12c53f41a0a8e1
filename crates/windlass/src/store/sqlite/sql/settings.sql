-- settings: all of space ?1, or of every space. Caller: control.rs.
select space, name, value, version, updated_at
from job_settings
where ?1 is null
or space = ?1
order by space, name;
