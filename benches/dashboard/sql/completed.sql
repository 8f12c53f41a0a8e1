-- $1 completed jobs of 200 tenants, evenly over the last six days; one in twenty failed before.
insert into jobs.finished_jobs (
    id, claim_no, run_at, enqueued_at, claimed_at, finished_at, priority, attempt, max_attempts, crashes, state, kind, queue,
    args, tags, tenant_id, correlation_id, worker, attempts, result
)
select uuidv7(-age), 1, at, at, at + interval '4 milliseconds', at + interval '60 milliseconds', 4, 1, 5, 0, 'completed',
       (array['process_message', 'deliver_message', 'deliver_webhook', 'ingest_document'])[1 + n % 4],
       (array['messages', 'delivery', 'webhooks', 'documents'])[1 + n % 4],
       json_build_object('messageId', 'm-' || n, 'attempted', n % 20 = 0), null, 'tenant-' || n % 200, 'c-' || n / 2,
       'web-1 4711',
       case when n % 20 = 0 then jobs.with_attempt(
           null, 1::smallint, 1::bigint, 'web-1 4711', at, at + interval '20 milliseconds', 'failed',
           jsonb_build_object('message', 'the provider answered 503 after ' || n % 30 || ' s', 'chain', '[]'::jsonb), 10
       ) end,
       json_build_object('sent', true)
  from generate_series(1, $1) as n,
       lateral (select make_interval(secs => 518400.0 * ($1 - n) / $1) as age) as ages,
       lateral (select now() - age as at) as times
