-- Up to $7 cells of queue $1 after the cell ($2 tenant, $3 kind, $4 key, $5 priority), at most $6 of one tenant: each with
-- the time of its first job, and of the first $9 how many are due at $8 and when the next will be. One step of the index
-- for each cell: a kind is of letters before `~`, so that stands after all of a tenant's. Caller: looks.rs.
with recursive cell as (
    (select coalesce(j.tenant_id, '') as tenant, j.kind, coalesce(j.limit_key, j.tenant_id, '') as key, j.priority,
            j.run_at, 1 as nth
       from jobs.jobs j
      where j.queue = $1
        and j.governed
        and j.state in ('scheduled', 'available', 'retryable')
        and (coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority) > ($2, $3, $4, $5)
      order by coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority, j.run_at, j.id
      limit 1)
    union all
    select next.tenant, next.kind, next.key, next.priority, next.run_at,
           case when next.tenant = cell.tenant then cell.nth + 1 else 1 end
      from cell
     cross join lateral (
            select coalesce(j.tenant_id, '') as tenant, j.kind, coalesce(j.limit_key, j.tenant_id, '') as key, j.priority,
                   j.run_at
              from jobs.jobs j
             where j.queue = $1
               and j.governed
               and j.state in ('scheduled', 'available', 'retryable')
               and (coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority)
                   > (cell.tenant, case when cell.nth >= $6 then '~' else cell.kind end, cell.key, cell.priority)
             order by coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority, j.run_at, j.id
             limit 1) as next
)
select seen.tenant, seen.kind, seen.key, seen.priority, seen.run_at, first.due, first.later
  from (select * from cell limit $7) as seen
 cross join lateral (
        select count(*) filter (where counted.run_at <= $8) as due,
               min(counted.run_at) filter (where counted.run_at > $8) as later
          from (select j.run_at
                  from jobs.jobs j
                 where j.queue = $1
                   and j.governed
                   and j.state in ('scheduled', 'available', 'retryable')
                   and coalesce(j.tenant_id, '') = seen.tenant
                   and j.kind = seen.kind
                   and coalesce(j.limit_key, j.tenant_id, '') = seen.key
                   and j.priority = seen.priority
                 order by j.run_at
                 limit $9) as counted) as first
