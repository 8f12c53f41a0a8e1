-- The version of all settings: another one as soon as any of them has changed. Caller: control.rs.
select version
  from jobs.settings_version
 where one
