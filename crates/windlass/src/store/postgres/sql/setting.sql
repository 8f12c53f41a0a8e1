-- Setting $2 of space $1. Caller: control.rs.
select space, name, value::text, version, updated_at
  from jobs.settings
 where space = $1
   and name = $2
