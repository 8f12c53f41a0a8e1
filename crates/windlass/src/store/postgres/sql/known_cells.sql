-- Of the known cells of queue $1 ($2 tenants, $3 kinds, $4 keys, $5 priorities), each from its place ($6) on: which it is,
-- counted from 1, the time of its first job, and of the first $8 how many are due at $7 and when the next will be.
-- Caller: looks.rs.
select cell.nth, first.run_at, first.due, first.later
  from unnest($2::text[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[]) with ordinality
       as cell (tenant, kind, key, priority, run_at, nth)
 cross join lateral (
        select min(seen.run_at) as run_at, count(*) filter (where seen.run_at <= $7) as due,
               min(seen.run_at) filter (where seen.run_at > $7) as later
          from (select j.run_at
                  from jobs.jobs j
                 where j.queue = $1
                   and j.governed
                   and j.state in ('scheduled', 'available', 'retryable')
                   and coalesce(j.tenant_id, '') = cell.tenant
                   and j.kind = cell.kind
                   and coalesce(j.limit_key, j.tenant_id, '') = cell.key
                   and j.priority = cell.priority
                   and j.run_at >= cell.run_at
                 order by j.run_at
                 limit $8) as seen) as first
 where first.run_at is not null
