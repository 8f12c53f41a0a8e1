-- $1 messages of $2 tenants with $3 conversations each, over the last two whole days, in and out in turn.
insert into messages (id, "tenantId", "conversationId", direction, "from", type, content, "timestamp")
select 'm-' || n, 'tenant-' || n % $2, 'c-' || n % $2 || '-' || n / $2 % $3,
       case when n / $2 % 2 = 0 then 'inbound' else 'outbound' end, 'someone', 'text', '{"text": "When do you open?"}',
       date_trunc('day', now()) - interval '2 days' + n * (interval '2 days' / $1)
  from generate_series(0, $1 - 1) as n
