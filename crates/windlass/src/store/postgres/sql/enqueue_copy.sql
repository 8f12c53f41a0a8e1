-- Adds many jobs that have neither keys nor an order, in PostgreSQL's binary format. Caller: copy.rs.
copy jobs.jobs (
    id, kind, run_at, enqueued_at, state, queue, priority, max_attempts, args, tags,
    tenant_id, correlation_id, trace_parent, governed, limit_key)
from stdin (format binary)
