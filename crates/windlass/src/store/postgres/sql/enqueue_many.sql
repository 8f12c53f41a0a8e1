-- Adds jobs at $1 (or now), each due at run_at, or delay microseconds later. Caller: enqueue.rs.
with clock as materialized (
    select coalesce($1, clock_timestamp()) as now
)
insert into jobs.jobs (
    id, kind, run_at, enqueued_at, state, queue, priority, max_attempts, args, tags,
    tenant_id, correlation_id, trace_parent, unique_key, ordering_key, governed, limit_key)
select new.id, new.kind, due.run_at, clock.now,
       case when new.ordering_key is not null then 'waiting' when due.run_at > clock.now then 'scheduled' else 'available' end,
       new.queue, new.priority, new.max_attempts, new.args::json, new.tags::text[],
       new.tenant_id, new.correlation_id, new.trace_parent, new.unique_key, new.ordering_key, new.governed, new.limit_key
  from clock,
       unnest(
           $2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[], $7::smallint[], $8::smallint[],
           $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bool[], $17::text[])
       as new (id, kind, run_at, delay, queue, priority, max_attempts,
           args, tags, tenant_id, correlation_id, trace_parent, unique_key, ordering_key, governed, limit_key),
       lateral (
           select least(greatest(coalesce(new.run_at, clock.now + new.delay * interval '1 microsecond', clock.now), clock.now), '9999-12-31 23:59:59.999999+00') as run_at
       ) as due
    on conflict (id) do nothing
returning id
