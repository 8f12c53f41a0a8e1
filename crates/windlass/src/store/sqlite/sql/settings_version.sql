-- settings_version: another one as soon as any setting has changed. Caller: control.rs.
select version
from job_settings_version
where one = 1;
