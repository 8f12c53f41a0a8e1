-- 20,000 unfinished jobs, a hundredth of them running, and 200,000 finished ones. Caller: plans.rs.
with live as (
    insert into jobs.jobs (
        id, claim_no, run_at, enqueued_at, claimed_at, lease_expires_at, priority, attempt, max_attempts,
        state, kind, queue, args, tenant_id)
    select gen_random_uuid(), 1, now(), now(), case when n % 100 = 0 then now() end,
           case when n % 100 = 0 then now() end, n % 10, 0, 10,
           case when n % 100 = 0 then 'running' else 'available' end, 'work', 'default', '{}', 't' || n % 50
      from generate_series(1, 20000) as n
)
insert into jobs.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
    state, kind, queue, args, tenant_id)
select gen_random_uuid(), 1, now(), now(), now(), now() - n * interval '1 second', 5, 1, 10, 0,
       case when n % 100 = 0 then 'dead' else 'completed' end, 'work', 'default', '{}', 't' || n % 50
  from generate_series(1, 200000) as n
