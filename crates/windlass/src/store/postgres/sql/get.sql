-- Job $1, finished or not, if it is tenant $2's (null: anyone's), and the time. Caller: read.rs.
select id, kind, args::text, queue, priority, state, run_at, attempt, max_attempts, crashes, claim_no, tags,
       tenant_id, correlation_id, trace_parent, unique_key, ordering_key, enqueued_at, claimed_at, worker,
       lease_expires_at, cancel_requested_at, progress::text, null as result, null as finished_at, attempts::text,
       clock_timestamp() as now
  from jobs.jobs
 where id = $1
   and ($2::text is null or tenant_id = $2)
 union all
select id, kind, args::text, queue, priority, state, run_at, attempt, max_attempts, crashes, claim_no, tags,
       tenant_id, correlation_id, trace_parent, unique_key, ordering_key, enqueued_at, claimed_at, worker,
       null, null, progress::text, result::text, finished_at, attempts::text,
       clock_timestamp()
  from jobs.finished_jobs
 where id = $1
   and ($2::text is null or tenant_id = $2)
