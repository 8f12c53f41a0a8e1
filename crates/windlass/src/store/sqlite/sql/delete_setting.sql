-- delete_setting: ?2 of space ?1. Caller: control.rs.
delete from job_settings
where space = ?1
and name = ?2;
