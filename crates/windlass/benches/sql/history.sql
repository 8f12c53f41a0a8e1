-- Five million finished jobs. Caller: store_postgres.rs.
insert into jobs.completed_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes,
    state, kind, queue, args, worker)
select gen_random_uuid(), 1, at, at, at, at, 5, 1, 10, 0, 'completed', 'noop', 'default',
       '{"n":0,"text":"a small payload"}', 'bench'
  from generate_series(1, 5000000) as n
 cross join lateral (select clock_timestamp() - n * interval '1 millisecond' as at) as moment
