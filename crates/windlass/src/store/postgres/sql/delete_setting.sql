-- Deletes setting $2 of space $1. Caller: control.rs.
delete from jobs.settings
 where space = $1
   and name = $2
