-- Of unfinished job $1, puts args $2 in form $3 and checkpoint $4 in form $5 (null: left alone), if both are as
-- they were. Caller: at_rest.rs.
update jobs.jobs
   set args = coalesce($3::text::json, args),
       checkpoint = coalesce($5::text::json, checkpoint)
 where id = $1
   and ($2::text is null or args::text = $2)
   and ($4::text is null or checkpoint::text = $4)
