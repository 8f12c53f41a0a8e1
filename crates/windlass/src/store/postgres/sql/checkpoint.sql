-- Keeps the checkpoint ($3) of the job with lease ($1, $2). Caller: flows.rs, also in callers' transactions.
update jobs.jobs
   set checkpoint = $3::text::json
 where id = $1
   and claim_no = $2
   and lease_expires_at is not null
