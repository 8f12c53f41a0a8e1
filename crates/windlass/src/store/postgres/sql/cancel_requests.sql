-- Up to $2 leases of worker $1 whose jobs were asked to stop. Caller: control.rs.
select id, claim_no
  from jobs.jobs
 where worker = $1
   and state = 'running'
   and cancel_requested_at is not null
 limit $2
