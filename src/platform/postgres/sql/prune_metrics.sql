-- Deletes, of the $4 next metrics after ($2, $3) that are older than $1, those whose day has its figures. Says how many
-- it looked at, how many went, and where to go on. Called until nothing is left to look at.
with batch as (
    select id, tenant_id, created_at
    from message_metrics
    where created_at < $1
      and (created_at, id) > ($2, $3)
    order by created_at, id
    limit $4
),
gone as (
    delete from message_metrics m
    using batch b
    where m.id = b.id
      and exists (select from analytics_daily a where a.tenant_id = b.tenant_id and a.date = b.created_at::date)
    returning m.id
)
select
    (select count(*) from batch) as seen,
    (select count(*) from gone) as deleted,
    last.id,
    (extract(epoch from last.created_at) * 1000)::bigint as created_at
from (select 1) as one
left join lateral (select id, created_at from batch order by created_at desc, id desc limit 1) as last on true
