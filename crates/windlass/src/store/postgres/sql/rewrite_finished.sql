-- Of finished job $1, puts args $2 in form $3 and result $4 in form $5 (null: left alone), if both are as they
-- were. Caller: at_rest.rs.
update jobs.finished_jobs
   set args = coalesce($3::text::json, args),
       result = coalesce($5::text::json, result)
 where id = $1
   and ($2::text is null or args::text = $2)
   and ($4::text is null or result::text = $4)
