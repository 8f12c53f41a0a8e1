-- Records the progress ($3) of the job with lease ($1, $2). Caller: leases.rs.
update jobs.jobs
   set progress = $3::text::json
 where id = $1
   and claim_no = $2
   and lease_expires_at is not null
