-- claim_due: up to ?3 due jobs of queue ?1 at ?2, as claim will leave them. All in one row: a row each would cost more
-- on its way through the driver than in the database. Caller: claim.rs.
select json_group_array(
    json_array(
        hex(id), kind, args, priority, run_at, attempt + 1, max_attempts, crashes, claim_no + 1,
        tenant_id, correlation_id, trace_parent, ordering_key, enqueued_at,
        checkpoint
    )
)
from (
    select *
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    and priority in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) -- one range of the index each
    and run_at <= ?2
    order by priority, run_at, id
    limit 0 + ?3 -- of a bare parameter SQLite asks the value, and compiles the statement again for each
);
