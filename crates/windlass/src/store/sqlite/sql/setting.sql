-- setting: ?2 of space ?1. Caller: control.rs.
select space, name, value, version, updated_at
from job_settings
where space = ?1
and name = ?2;
