-- The ?4 next metrics after (?2, ?3) that are older than ?1, and whether their day has its figures. Called by the
-- clean-up before prune_metrics.
select
    m.id,
    m.created_at,
    exists (
        select 1
        from analytics_daily a
        where a.tenant_id = m.tenant_id
          and a.date = date(m.created_at / 1000, 'unixepoch')
    ) as aggregated
from message_metrics m
where m.created_at < ?1
  and (m.created_at, m.id) > (?2, ?3)
order by m.created_at, m.id
limit ?4
