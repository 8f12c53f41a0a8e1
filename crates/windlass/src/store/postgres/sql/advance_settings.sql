-- The settings are at version $1 now. Caller: control.rs.
update jobs.settings_version
   set version = $1
 where one
