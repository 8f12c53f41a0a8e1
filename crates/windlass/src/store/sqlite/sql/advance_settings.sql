-- advance_settings: they are at version ?1 now. Caller: control.rs.
update job_settings_version
set version = ?1
where one = 1;
