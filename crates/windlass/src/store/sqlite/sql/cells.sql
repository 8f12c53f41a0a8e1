-- cells: up to ?7 cells of queue ?1 after the cell (?2 tenant, ?3 kind, ?4 key, ?5 priority), at most ?6 of one tenant:
-- each with the time of its first job and how many are due at ?8, counted up to ?9. One step of the index for each
-- cell: a kind is of letters before `~`, so that stands after all of a tenant's. Caller: governed.rs.
with recursive cell (head, tenant_before, nth_before) as (
    select
        (
            select rowid
            from jobs
            where queue = ?1
            and state in ('scheduled', 'available', 'retryable')
            and governed = 1
            and (ifnull(tenant_id, ''), kind, coalesce(limit_key, tenant_id, ''), priority) > (?2, ?3, ?4, ?5)
            order by ifnull(tenant_id, ''), kind, coalesce(limit_key, tenant_id, ''), priority, run_at, id
            limit 1
        ),
        null,
        0
    union all
    select
        (
            select next.rowid
            from jobs as next
            where next.queue = ?1
            and next.state in ('scheduled', 'available', 'retryable')
            and next.governed = 1
            and (ifnull(next.tenant_id, ''), next.kind, coalesce(next.limit_key, next.tenant_id, ''), next.priority) > (
                ifnull(jobs.tenant_id, ''),
                case
                    when ifnull(jobs.tenant_id, '') is cell.tenant_before and cell.nth_before + 1 >= ?6 then '~'
                    else jobs.kind
                end,
                coalesce(jobs.limit_key, jobs.tenant_id, ''),
                jobs.priority
            )
            order by
                ifnull(next.tenant_id, ''), next.kind, coalesce(next.limit_key, next.tenant_id, ''), next.priority,
                next.run_at, next.id
            limit 1
        ),
        ifnull(jobs.tenant_id, ''),
        iif(ifnull(jobs.tenant_id, '') is cell.tenant_before, cell.nth_before + 1, 1)
    from cell
    join jobs on jobs.rowid = cell.head
    limit ?7
)

select
    ifnull(jobs.tenant_id, '') as tenant,
    jobs.kind,
    coalesce(jobs.limit_key, jobs.tenant_id, '') as key,
    jobs.priority,
    jobs.run_at,
    (
        select count(*)
        from (
            select 1
            from jobs as due
            where due.queue = ?1
            and due.state in ('scheduled', 'available', 'retryable')
            and due.governed = 1
            and ifnull(due.tenant_id, '') = ifnull(jobs.tenant_id, '')
            and due.kind = jobs.kind
            and coalesce(due.limit_key, due.tenant_id, '') = coalesce(jobs.limit_key, jobs.tenant_id, '')
            and due.priority = jobs.priority
            and due.run_at <= ?8
            limit ?9
        )
    ) as due
from cell
join jobs on jobs.rowid = cell.head;
