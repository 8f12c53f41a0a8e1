-- $1 due jobs with ids that sort by time.
insert into windlass_bench.jobs (id, run_at, enqueued_at, priority, state, kind, queue, args, tenant_id, correlation_id)
select uuidv7(), now(), now(), 5, 'available', 'answer_message', 'default',
       json_build_object('conversation', 'c-' || n, 'message', 'm-' || n, 'channel', 'web'),
       'tenant-' || n % 100, 'request-' || n
  from generate_series(1, $1::bigint) as n
