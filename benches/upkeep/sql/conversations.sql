-- $2 conversations of each of $1 tenants, begun over the last two whole days.
insert into conversations (id, "tenantId", "channelType", "externalId", "userId", status, "createdAt", "updatedAt", "lastMessageAt")
select 'c-' || t || '-' || c, 'tenant-' || t, 'webchat', 'x-' || c, 'u-' || c % ($2 * 3 / 4),
       case when c % 10 = 0 then 'closed' else 'active' end, at, at, at
  from generate_series(0, $1 - 1) as t
 cross join generate_series(0, $2 - 1) as c
 cross join lateral (select date_trunc('day', now()) - interval '2 days' + (c * 172800 / $2) * interval '1 second' as at) as time
