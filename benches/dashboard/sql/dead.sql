-- $1 dead jobs of the last six days: four of five are webhooks that nobody answers.
insert into jobs.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes, state, kind, queue,
    args, tenant_id, correlation_id, worker, attempts
)
select uuidv7(-age), 5, at, at, at + interval '4 milliseconds', at + interval '60 milliseconds', 4, 5, 5, 0, 'dead',
       case when n % 5 = 0 then 'deliver_message' else 'deliver_webhook' end,
       case when n % 5 = 0 then 'delivery' else 'webhooks' end,
       json_build_object('messageId', 'd-' || n), 'tenant-' || n % 200, 'd-' || n, 'web-1 4711',
       jobs.with_attempt(
           null, 5::smallint, 5::bigint, 'web-1 4711', at, at + interval '20 milliseconds', 'failed',
           jsonb_build_object('message', 'no answer from host ' || n % 7, 'chain', '[]'::jsonb), 10
       )
  from generate_series(1, $1) as n,
       lateral (select make_interval(secs => 518400.0 * ($1 - n) / $1) as age) as ages,
       lateral (select now() - age as at) as times
