-- governed_due: up to ?7 due jobs, after ?8, of the cell (?3 tenant, ?4 kind, ?5 key, ?6 priority) of queue ?1 at ?2, as claim_governed
-- will leave them, each after its row's number; all in one row. Caller: governed.rs.
select json_group_array(
    json_array(
        rowid,
        json_array(
            hex(id), kind, args, priority, run_at, attempt + 1, max_attempts, crashes, claim_no + 1,
            tenant_id, correlation_id, trace_parent, ordering_key, enqueued_at,
            checkpoint
        )
    )
)
from (
    select
        rowid,
        *
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 1
    and ifnull(tenant_id, '') = ?3
    and kind = ?4
    and coalesce(limit_key, tenant_id, '') = ?5
    and priority = ?6
    and run_at <= ?2
    order by run_at, id
    limit 0 + ?7 offset 0 + ?8
);
