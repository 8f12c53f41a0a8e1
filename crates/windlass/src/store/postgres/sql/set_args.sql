-- Unfinished job $1 has args $2 from now on. Caller: operate.rs.
update jobs.jobs
   set args = $2::text::json
 where id = $1
