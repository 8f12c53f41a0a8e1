-- cells: up to ?7 cells of queue ?1 after the cell (?2 tenant, ?3 kind, ?4 key, ?5 priority), at most ?6 of one tenant:
-- each with the time of its first job, how many are due at ?8 (counted up to ?9) and when the next will be. The next cell has another
-- priority, else another key, kind or tenant: one step of the index each, which a comparison of the four together
-- could not make. A kind is of letters before `~`, so that stands after all of a tenant's. Caller: governed.rs.
with recursive cell (head, tenant_before, nth_before) as (
    select
        coalesce(
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') = ?2
                and next.kind = ?3
                and coalesce(next.limit_key, next.tenant_id, '') = ?4
                and next.priority > ?5
                order by next.priority, next.run_at, next.id
                limit 1
            ),
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') = ?2
                and next.kind = ?3
                and coalesce(next.limit_key, next.tenant_id, '') > ?4
                order by coalesce(next.limit_key, next.tenant_id, ''), next.priority, next.run_at, next.id
                limit 1
            ),
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') = ?2
                and next.kind > ?3
                order by next.kind, coalesce(next.limit_key, next.tenant_id, ''), next.priority, next.run_at, next.id
                limit 1
            ),
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') > ?2
                order by
                    ifnull(next.tenant_id, ''), next.kind, coalesce(next.limit_key, next.tenant_id, ''), next.priority,
                    next.run_at, next.id
                limit 1
            )
        ),
        null,
        0
    union all
    select
        coalesce(
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') = ifnull(jobs.tenant_id, '')
                and next.kind = iif(ifnull(jobs.tenant_id, '') is cell.tenant_before and cell.nth_before + 1 >= ?6, '~', jobs.kind)
                and coalesce(next.limit_key, next.tenant_id, '') = coalesce(jobs.limit_key, jobs.tenant_id, '')
                and next.priority > jobs.priority
                order by next.priority, next.run_at, next.id
                limit 1
            ),
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') = ifnull(jobs.tenant_id, '')
                and next.kind = iif(ifnull(jobs.tenant_id, '') is cell.tenant_before and cell.nth_before + 1 >= ?6, '~', jobs.kind)
                and coalesce(next.limit_key, next.tenant_id, '') > coalesce(jobs.limit_key, jobs.tenant_id, '')
                order by coalesce(next.limit_key, next.tenant_id, ''), next.priority, next.run_at, next.id
                limit 1
            ),
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') = ifnull(jobs.tenant_id, '')
                and next.kind > iif(ifnull(jobs.tenant_id, '') is cell.tenant_before and cell.nth_before + 1 >= ?6, '~', jobs.kind)
                order by next.kind, coalesce(next.limit_key, next.tenant_id, ''), next.priority, next.run_at, next.id
                limit 1
            ),
            (
                select next.rowid
                from jobs as next
                where next.queue = ?1
                and (next.state = 'available' or next.state = 'scheduled' or next.state = 'retryable')
                and next.governed = 1
                and ifnull(next.tenant_id, '') > ifnull(jobs.tenant_id, '')
                order by
                    ifnull(next.tenant_id, ''), next.kind, coalesce(next.limit_key, next.tenant_id, ''), next.priority,
                    next.run_at, next.id
                limit 1
            )
        ),
        ifnull(jobs.tenant_id, ''),
        iif(ifnull(jobs.tenant_id, '') is cell.tenant_before, cell.nth_before + 1, 1)
    from cell
    join jobs on jobs.rowid = cell.head
    limit 0 + ?7
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
            and (due.state = 'available' or due.state = 'scheduled' or due.state = 'retryable')
            and due.governed = 1
            and ifnull(due.tenant_id, '') = ifnull(jobs.tenant_id, '')
            and due.kind = jobs.kind
            and coalesce(due.limit_key, due.tenant_id, '') = coalesce(jobs.limit_key, jobs.tenant_id, '')
            and due.priority = jobs.priority
            and due.run_at <= ?8
            limit 0 + ?9
        )
    ) as due,
    (
        select later.run_at
        from jobs as later
        where later.queue = ?1
        and (later.state = 'available' or later.state = 'scheduled' or later.state = 'retryable')
        and later.governed = 1
        and ifnull(later.tenant_id, '') = ifnull(jobs.tenant_id, '')
        and later.kind = jobs.kind
        and coalesce(later.limit_key, later.tenant_id, '') = coalesce(jobs.limit_key, jobs.tenant_id, '')
        and later.priority = jobs.priority
        and later.run_at > ?8
        order by later.run_at
        limit 1
    ) as later
from cell
join jobs on jobs.rowid = cell.head;
