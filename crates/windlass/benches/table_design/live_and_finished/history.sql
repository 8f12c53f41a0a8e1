-- $1 jobs that completed yesterday.
insert into windlass_bench.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes, state, kind, queue, args,
    tenant_id, correlation_id, worker)
select uuidv7(interval '-1 day'), 1, now() - interval '1 day', now() - interval '1 day', now() - interval '1 day',
       current_date - interval '1 hour', 5, 1, 10, 0, 'completed', 'answer_message', 'default',
       json_build_object('conversation', 'c-' || n, 'message', 'm-' || n, 'channel', 'web'),
       'tenant-' || n % 100, 'request-' || n, 'bench'
  from generate_series(1, $1::bigint) as n
