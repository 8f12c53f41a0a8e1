-- Up to $1 jobs before id $2 and not before id $10, newest first, that match $3 states, $4 kind, $5 queue, $6 tenant,
-- $7 correlation id and $8 tag (each null: any), seen at $9 (or now). $11 says which of the unfinished ones to look
-- at: all, those set back, those running, those of one tenant or correlation id, or (null) none. Caller: search.rs.
-- A branch for each table and each index that can carry the search; what does not apply is never started.
with clock as materialized (
    select coalesce($9, clock_timestamp()) as now
),
-- By the index of leases: they are few, and the oldest of all.
running as materialized (
    select *
      from jobs.jobs
     where $11 in ('running', 'of one')
       and state = 'running'
),
unfinished as (
    (select *
       from jobs.jobs
      where $11 = 'all'
        and id < $2
        and id >= $10
        and ($3::text[] is null
             or case when state in ('scheduled', 'available', 'retryable') and run_at <= (select now from clock) then 'available' else state end = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.jobs
      where $11 = 'set back'
        and state in ('scheduled', 'retryable', 'waiting')
        and id < $2
        and id >= $10
        and state = any ($3)
        and (state = 'waiting' or run_at > (select now from clock))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.jobs
      where $11 = 'of one'
        and $7::text is null
        and tenant_id = $6
        and state <> 'running'
        and id < $2
        and id >= $10
        and ($3::text[] is null
             or case when state in ('scheduled', 'available', 'retryable') and run_at <= (select now from clock) then 'available' else state end = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.jobs
      where $11 = 'of one'
        and correlation_id = $7
        and state <> 'running'
        and id < $2
        and id >= $10
        and ($3::text[] is null
             or case when state in ('scheduled', 'available', 'retryable') and run_at <= (select now from clock) then 'available' else state end = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from running
      where id < $2
        and id >= $10
        and ($3::text[] is null or 'running' = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($7::text is null or correlation_id = $7)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
),
finished as (
    (select *
       from jobs.completed_jobs
      where $6::text is null
        and $7::text is null
        and ($3::text[] is null or 'completed' = any ($3))
        and id < $2
        and id >= $10
        and ($3::text[] is null or state = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.completed_jobs
      where tenant_id = $6
        and $7::text is null
        and ($3::text[] is null or 'completed' = any ($3))
        and id < $2
        and id >= $10
        and ($3::text[] is null or state = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.completed_jobs
      where correlation_id = $7
        and ($3::text[] is null or 'completed' = any ($3))
        and id < $2
        and id >= $10
        and ($3::text[] is null or state = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.set_aside_jobs
      where $6::text is null
        and $7::text is null
        and ($3::text[] is null or $3 && array['cancelled', 'dead'])
        and id < $2
        and id >= $10
        and ($3::text[] is null or state = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.set_aside_jobs
      where tenant_id = $6
        and $7::text is null
        and ($3::text[] is null or $3 && array['cancelled', 'dead'])
        and id < $2
        and id >= $10
        and ($3::text[] is null or state = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
    union all
    (select *
       from jobs.set_aside_jobs
      where correlation_id = $7
        and ($3::text[] is null or $3 && array['cancelled', 'dead'])
        and id < $2
        and id >= $10
        and ($3::text[] is null or state = any ($3))
        and ($4::text is null or kind = $4)
        and ($5::text is null or queue = $5)
        and ($6::text is null or tenant_id = $6)
        and ($8::text is null or $8 = any (tags))
      order by id desc
      limit $1)
)
select id, kind, args::text, queue, priority, state, run_at, attempt, max_attempts, crashes, claim_no, tags,
       tenant_id, correlation_id, trace_parent, unique_key, ordering_key, enqueued_at, claimed_at, worker,
       lease_expires_at, cancel_requested_at, progress::text, null as result, null as finished_at, attempts::text,
       (select now from clock) as now
  from unfinished
 union all
select id, kind, args::text, queue, priority, state, run_at, attempt, max_attempts, crashes, claim_no, tags,
       tenant_id, correlation_id, trace_parent, unique_key, ordering_key, enqueued_at, claimed_at, worker,
       null, null, progress::text, result::text, finished_at, attempts::text,
       (select now from clock)
  from finished
 order by id desc
 limit $1
