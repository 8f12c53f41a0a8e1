-- Gives role $1 up if $2 holds it. Caller: processes.rs.
delete from jobs.leaders
 where role = $1
   and holder = $2
