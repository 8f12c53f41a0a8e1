-- Cells of queue $1 in the gaps between known ones, at most $10 of them: after the cells ($2 tenants, $3 kinds, $4 keys,
-- $5 priorities) and before the cells ($6 .. $9), each with the time of its first job. One step of the
-- index for each gap and each cell; the entries of known cells are never walked. Caller: governed.rs.
with recursive gap as materialized (
    select *
      from unnest($2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::smallint[])
           as gap (tenant, kind, key, priority, end_tenant, end_kind, end_key, end_priority)
),
cell as (
    select gap.end_tenant, gap.end_kind, gap.end_key, gap.end_priority, first.*
      from gap
     cross join lateral (
            select coalesce(j.tenant_id, '') as tenant, j.kind, coalesce(j.limit_key, j.tenant_id, '') as key, j.priority,
                   j.run_at
              from jobs.jobs j
             where j.queue = $1
               and j.governed
               and j.state in ('scheduled', 'available', 'retryable')
               and (coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority)
                   > (gap.tenant, gap.kind, gap.key, gap.priority)
               and (coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority)
                   < (gap.end_tenant, gap.end_kind, gap.end_key, gap.end_priority)
             order by coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority, j.run_at, j.id
             limit 1) as first
    union all
    select cell.end_tenant, cell.end_kind, cell.end_key, cell.end_priority, next.*
      from cell
     cross join lateral (
            select coalesce(j.tenant_id, '') as tenant, j.kind, coalesce(j.limit_key, j.tenant_id, '') as key, j.priority,
                   j.run_at
              from jobs.jobs j
             where j.queue = $1
               and j.governed
               and j.state in ('scheduled', 'available', 'retryable')
               and (coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority)
                   > (cell.tenant, cell.kind, cell.key, cell.priority)
               and (coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority)
                   < (cell.end_tenant, cell.end_kind, cell.end_key, cell.end_priority)
             order by coalesce(j.tenant_id, ''), j.kind, coalesce(j.limit_key, j.tenant_id, ''), j.priority, j.run_at, j.id
             limit 1) as next
)
select tenant, kind, key, priority, run_at
  from cell
 limit $10
