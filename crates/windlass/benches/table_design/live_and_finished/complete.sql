-- The jobs $1 succeeded under their leases $2.
with ended as (
    delete from windlass_bench.jobs j
     using unnest($1::uuid[], $2::bigint[]) as lease (id, claim_no)
     where j.id = lease.id
       and j.claim_no = lease.claim_no
    returning j.*
)
insert into windlass_bench.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes, state,
    kind, queue, args, tenant_id, correlation_id, unique_key, ordering_key, worker, attempts)
select id, claim_no, run_at, enqueued_at, claimed_at, clock_timestamp(), priority, attempt, max_attempts, crashes,
       'completed', kind, queue, args, tenant_id, correlation_id, unique_key, ordering_key, worker, attempts
  from ended
