-- $1 unfinished jobs: six of ten are due, three are for later, one waits to be tried again.
insert into jobs.jobs (
    id, claim_no, run_at, enqueued_at, priority, attempt, max_attempts, state, kind, queue, args, tenant_id, correlation_id,
    attempts
)
select uuidv7(-age), case when n % 10 = 9 then 1 else 0 end,
       case when n % 10 < 6 then at else now() + age end, at, 4, case when n % 10 = 9 then 1 else 0 end, 5,
       case when n % 10 < 6 then 'available' when n % 10 < 9 then 'scheduled' else 'retryable' end,
       (array['process_message', 'deliver_message', 'deliver_webhook', 'ingest_document'])[1 + n / 10 % 4],
       (array['messages', 'delivery', 'webhooks', 'documents'])[1 + n / 10 % 4],
       json_build_object('messageId', 'l-' || n), 'tenant-' || n % 200, 'l-' || n,
       case when n % 10 = 9 then jobs.with_attempt(
           null, 1::smallint, 1::bigint, 'web-1 4711', at, at + interval '20 milliseconds', 'failed',
           jsonb_build_object('message', 'the model is busy, ' || n % 50 || ' before us', 'chain', '[]'::jsonb), 10
       ) end
  from generate_series(1, $1) as n,
       lateral (select make_interval(secs => 60 + 3600.0 * ($1 - n) / $1) as age) as ages,
       lateral (select now() - age as at) as times
