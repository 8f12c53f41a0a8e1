-- Adds one job at $14 (or now), to be due at $3, or $4 microseconds later. Caller: enqueue.rs, and in callers' transactions.
with clock as materialized (
    select coalesce($14, clock_timestamp()) as now
),
due as materialized (
    select now, least(greatest(coalesce($3, now + $4 * interval '1 microsecond', now), now), '9999-12-31 23:59:59.999999+00') as run_at
      from clock
)
insert into jobs.jobs (
    id, kind, run_at, enqueued_at, state, queue, priority, max_attempts, args, tags,
    tenant_id, correlation_id, trace_parent, unique_key, ordering_key, governed, limit_key)
select $1, $2, run_at, now,
       case when $13::text is not null then 'waiting' when run_at > now then 'scheduled' else 'available' end,
       $5, $6, $7, $8::text::json, $9, $10, $11, $12, $15, $13, $16, $17
  from due
    on conflict (id) do nothing
