-- Lets the next job of each line (tenant $1, key $2) go, unless one is out already, at $3 (or now). The
-- lines are locked. Caller: lines.rs.
with clock as materialized (
    select coalesce($3, clock_timestamp()) as now
)
update jobs.jobs
   set state = case when run_at > (select now from clock) then 'scheduled' else 'available' end
 where id = any (array (
        select next.id
          from (select distinct tenant_id, ordering_key
                  from unnest($1::text[], $2::text[]) as freed (tenant_id, ordering_key)) as line
         cross join lateral (
                select w.id
                  from jobs.jobs w
                 where w.ordering_key = line.ordering_key
                   and coalesce(w.tenant_id, '') = coalesce(line.tenant_id, '')
                   and w.state = 'waiting'
                 order by w.enqueued_at, w.id
                 limit 1) as next
         where not exists (
                select
                  from jobs.jobs h
                 where h.ordering_key = line.ordering_key
                   and coalesce(h.tenant_id, '') = coalesce(line.tenant_id, '')
                   and h.state <> 'waiting')))
returning queue, priority, run_at
