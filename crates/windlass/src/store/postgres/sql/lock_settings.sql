-- The version of all settings, locked: changes come one after another. Caller: control.rs.
select version
  from jobs.settings_version
 where one
   for update
