-- Adds jobs of flow $1 at $2, each due at run_at, or delay microseconds later; those that are blocked as `waiting` and in
-- no line. In the order of their line locks: see enqueue_ordered. Caller: start.rs.
insert into jobs.jobs (
    id, kind, run_at, enqueued_at, state, queue, priority, max_attempts, args, tags,
    tenant_id, correlation_id, trace_parent, ordering_key, governed, limit_key, flow_id)
select new.id, new.kind, due.run_at, $2::timestamptz,
       case when new.blocked or new.ordering_key is not null then 'waiting' when due.run_at > $2::timestamptz then 'scheduled' else 'available' end,
       new.queue, new.priority, new.max_attempts, new.args::json, new.tags::text[],
       new.tenant_id, new.correlation_id, new.trace_parent,
       case when not new.blocked then new.ordering_key end, new.governed, new.limit_key, $1
  from unnest(
           $3::uuid[], $4::text[], $5::timestamptz[], $6::bigint[], $7::text[], $8::smallint[], $9::smallint[],
           $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::boolean[],
           $17::boolean[], $18::text[])
       with ordinality as new (id, kind, run_at, delay, queue, priority, max_attempts,
           args, tags, tenant_id, correlation_id, trace_parent, ordering_key, blocked,
           governed, limit_key, place),
       lateral (
           select least(greatest(coalesce(new.run_at, $2::timestamptz + new.delay * interval '1 microsecond', $2::timestamptz), $2::timestamptz), '9999-12-31 23:59:59.999999+00') as run_at
       ) as due
 order by case when not new.blocked then jobs.line_lock(new.tenant_id, new.ordering_key) end, new.place
