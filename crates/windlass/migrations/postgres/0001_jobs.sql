-- The engine's schema. Everything lives in `jobs` and nothing outside of it is touched; no extension
-- and no superuser is needed. PostgreSQL 15 or newer.
--
-- Unfinished jobs live in jobs.jobs, finished ones in jobs.finished_jobs: what claims look at stays
-- small whatever the history. Text is compared bytewise (collate "C"): faster, and the same everywhere.

create table jobs.jobs (
    id                  uuid primary key,
    claim_no            bigint not null default 0,
    run_at              timestamptz not null,
    enqueued_at         timestamptz not null,
    claimed_at          timestamptz,
    lease_expires_at    timestamptz,
    cancel_requested_at timestamptz,
    priority            smallint not null check (priority between 0 and 9),
    attempt             smallint not null default 0,
    max_attempts        smallint not null check (max_attempts > 0),
    crashes             smallint not null default 0,
    state               text collate "C" not null
        check (state in ('scheduled', 'available', 'running', 'retryable', 'waiting')),
    kind                text collate "C" not null,
    queue               text collate "C" not null,
    args                json not null, -- not jsonb: kept to the letter, every number and \u0000
    tags                text[],
    tenant_id           text collate "C",
    correlation_id      text collate "C",
    trace_parent        text collate "C",
    unique_key          text collate "C",
    ordering_key        text collate "C",
    worker              text collate "C",
    progress            json,
    attempts            jsonb,
    -- The fence of every write to a running job is claim_no together with a lease.
    check ((state = 'running') = (lease_expires_at is not null))
) with (
    fillfactor = 70,
    -- A queue table turns over many times an hour: clean by the number of dead rows, without pause.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 50000
);

-- What may be claimed, in the order of claims. Nothing that is blocked is in it.
create index jobs_ready on jobs.jobs (queue, priority, run_at, id)
 where state in ('scheduled', 'available', 'retryable');

-- Running jobs by the end of their lease. Its predicate is not what the fence tests, so that no
-- plan of a finish can start from it.
create index jobs_leases on jobs.jobs (lease_expires_at)
 where state = 'running';

-- An ordering key is a line: at most one of its jobs is out of `waiting`.
create unique index jobs_line_head on jobs.jobs (ordering_key, (coalesce(tenant_id, '')))
 where state <> 'waiting' and ordering_key is not null;

-- And the others, in order.
create index jobs_line on jobs.jobs (ordering_key, (coalesce(tenant_id, '')), enqueued_at, id)
 where state = 'waiting';

-- Finished jobs. Completed ones, by far the most, are partitioned by day, so that retention drops
-- a table. Cancelled and dead ones are few and kept longer; in a table of their own they keep no
-- day of completed ones from being dropped.
create table jobs.finished_jobs (
    id                  uuid not null,
    claim_no            bigint not null,
    run_at              timestamptz not null,
    enqueued_at         timestamptz not null,
    claimed_at          timestamptz,
    finished_at         timestamptz not null,
    priority            smallint not null,
    attempt             smallint not null,
    max_attempts        smallint not null,
    crashes             smallint not null,
    state               text collate "C" not null,
    kind                text collate "C" not null,
    queue               text collate "C" not null,
    args                json not null,
    tags                text[],
    tenant_id           text collate "C",
    correlation_id      text collate "C",
    trace_parent        text collate "C",
    unique_key          text collate "C",
    ordering_key        text collate "C",
    worker              text collate "C",
    progress            json,
    attempts            jsonb,
    result              json
) partition by list (state);

create table jobs.completed_jobs partition of jobs.finished_jobs
   for values in ('completed')
   partition by range (finished_at);

-- Takes what has no day of its own, so that a missing partition never stops a completion.
create table jobs.completed_jobs_default partition of jobs.completed_jobs default;

create table jobs.set_aside_jobs partition of jobs.finished_jobs
   for values in ('cancelled', 'dead');

create index finished_jobs_id on jobs.finished_jobs (id);
create index finished_jobs_tenant on jobs.finished_jobs (tenant_id, id)
 where tenant_id is not null;
create index finished_jobs_correlation on jobs.finished_jobs (correlation_id, id)
 where correlation_id is not null;
create index completed_jobs_finished_at on jobs.completed_jobs (finished_at);
create index set_aside_jobs_finished_at on jobs.set_aside_jobs (state, finished_at, id);

-- Unique keys (no digest): held while the job is unfinished, and until held_until if that is set.
-- Idempotency keys (with a digest): held until held_until.
create table jobs.unique_keys (
    key        text collate "C" primary key,
    job_id     uuid,
    held_until timestamptz,
    digest     text
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

create index unique_keys_held_until on jobs.unique_keys (held_until)
 where held_until is not null;

create table jobs.workers (
    id         text collate "C" primary key,
    host       text not null,
    pid        bigint not null,
    version    text not null,
    queues     text[] not null,
    slots      bigint not null,
    running    bigint not null,
    started_at timestamptz not null,
    beat_at    timestamptz not null,
    draining   boolean not null
) with (fillfactor = 50);

create table jobs.leaders (
    role   text collate "C" primary key,
    holder text not null,
    until  timestamptz not null
) with (fillfactor = 50);

-- The history of attempts with one more, as model::AttemptRecord reads it. Of more than `most`, the
-- first and the newest are kept.
create function jobs.with_attempt(
    attempts jsonb, attempt smallint, claim_no bigint, worker text,
    started_at timestamptz, ended_at timestamptz, outcome text, error jsonb, most int
) returns jsonb
language sql stable
as $$
    select case when jsonb_array_length(attempts) >= most then attempts - 1 else coalesce(attempts, '[]') end
        || jsonb_strip_nulls(jsonb_build_object(
            'attempt', attempt,
            'claim_no', claim_no,
            'worker', coalesce(worker, ''),
            'started_at', to_char(coalesce(started_at, ended_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'ended_at', to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'outcome', outcome,
            'error', error))
$$;

-- Ordering keys
--
-- Whoever may change which job of a line is its head holds the line's lock until its transaction
-- ends: 256 advisory locks, shared by all lines, in a class of their own ('jobs' in ASCII).
-- Keyed jobs are inserted as `waiting`; at commit, under the lock, the head is let go if no job of
-- the line is out already. Whoever ends a job takes the lock first and lets the next one go in the
-- same transaction. So two transactions can neither both see an empty line nor both a busy one.
create function jobs.line_lock(tenant_id text, ordering_key text) returns int
language sql immutable
as $$
    select hashtext(coalesce(tenant_id, '') || chr(31) || ordering_key) & 255
$$;

create function jobs.lock_line(line_lock int) returns void
language sql volatile
as $$
    select pg_advisory_xact_lock(1785684851, line_lock)
$$;

create function jobs.let_head_go() returns trigger
language plpgsql
set enable_seqscan = off
as $$
begin
    perform jobs.lock_line(jobs.line_lock(new.tenant_id, new.ordering_key));
    if exists (
            select
              from jobs.jobs h
             where h.ordering_key = new.ordering_key
               and coalesce(h.tenant_id, '') = coalesce(new.tenant_id, '')
               and h.state <> 'waiting') then
        return null;
    end if;
    -- The oldest; of those that came in one call, the one that came first, which is this one.
    update jobs.jobs
       set state = case when run_at > enqueued_at then 'scheduled' else 'available' end
     where id = (
            select w.id
              from jobs.jobs w
             where w.ordering_key = new.ordering_key
               and coalesce(w.tenant_id, '') = coalesce(new.tenant_id, '')
               and w.state = 'waiting'
             order by w.enqueued_at, w.id <> new.id, w.id
             limit 1);
    return null;
exception
    -- Only under REPEATABLE READ, whose snapshot cannot see the head that another transaction let go.
    when unique_violation then
        return null;
end
$$;

create constraint trigger let_head_go
 after insert on jobs.jobs
 deferrable initially deferred
 for each row when (new.ordering_key is not null)
 execute function jobs.let_head_go();

-- Days of completed jobs
create function jobs.add_partitions(days_ahead int) returns void
language plpgsql
as $$
declare
    today date := (clock_timestamp() at time zone 'UTC')::date;
    day date;
    day_name text;
    starts timestamptz;
    ends timestamptz;
begin
    -- One at a time, and never at the cost of a completion: give up quickly, try again next time.
    perform pg_advisory_xact_lock(1785684851, 256);
    perform set_config('lock_timeout', '500ms', true);
    for day in select d::date from generate_series(today, today + days_ahead, interval '1 day') d loop
        day_name := to_char(day, '"completed_jobs_"YYYYMMDD');
        starts := day::timestamp at time zone 'UTC';
        ends := (day + 1)::timestamp at time zone 'UTC';
        continue when to_regclass('jobs.' || day_name) is not null;
        execute format('create table jobs.%I (like jobs.completed_jobs including defaults)', day_name);
        execute format('alter table jobs.%I add constraint its_day check (state = ''completed'' and finished_at >= %L and finished_at < %L)', day_name, starts, ends);
        -- What completed before its day was there goes to it: attaching would refuse otherwise.
        lock table jobs.completed_jobs_default in share row exclusive mode;
        if exists (select from jobs.completed_jobs_default where finished_at >= starts and finished_at < ends) then
            execute format('with moved as (delete from jobs.completed_jobs_default where finished_at >= %L and finished_at < %L returning *) insert into jobs.%I select * from moved', starts, ends, day_name);
        end if;
        execute format('alter table jobs.completed_jobs attach partition jobs.%I for values from (%L) to (%L)', day_name, starts, ends);
        execute format('alter table jobs.%I drop constraint its_day', day_name);
    end loop;
end
$$;

-- Drops the oldest day if it ended before a time; says how many jobs were in it, or null if there is none.
-- One day in a transaction: completions wait for no more than the drop itself.
create function jobs.drop_partition(finished_before timestamptz) returns bigint
language plpgsql
as $$
declare
    day_name text;
    jobs_of_day bigint;
begin
    select c.relname
      into day_name
      from pg_catalog.pg_inherits i
      join pg_catalog.pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'jobs.completed_jobs'::regclass
       and c.relname ~ '^completed_jobs_\d{8}$'
       and (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC' <= finished_before
     order by c.relname
     limit 1;
    if day_name is null then
        return null;
    end if;
    execute format('select count(*) from jobs.%I', day_name) into jobs_of_day;
    perform set_config('lock_timeout', '500ms', true);
    execute format('drop table jobs.%I', day_name);
    return jobs_of_day;
end
$$;

-- An id that sorts by time (UUID version 7), also where the server has no uuidv7() of its own.
do $do$
begin
    if current_setting('server_version_num')::int >= 180000 then
        create function jobs.new_id() returns uuid language sql volatile
        as 'select uuidv7()';
    else
        create function jobs.new_id() returns uuid language sql volatile
        as $$
            select encode(
                set_bit(set_bit(
                    overlay(uuid_send(gen_random_uuid())
                        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                        from 1 for 6),
                    52, 1), 53, 1),
                'hex')::uuid
        $$;
    end if;
end
$do$;

create function jobs.check_text(field text, value text, most int) returns void
language plpgsql immutable
as $$
begin
    if value is not null and (octet_length(value) not between 1 and most or value ~ '[[:cntrl:]]') then
        raise exception '%: must be 1 to % bytes without control characters', field, most
            using errcode = '22023', hint = 'Shorten it, or pass null where the field is optional.';
    end if;
end
$$;

-- Enqueues one job within the caller's transaction, from any language, and returns the id of the job
-- that stands for it: its own, or with a unique key that of the job which holds the key.
create function jobs.enqueue(
    kind text,
    args json default '{}',
    queue text default 'default',
    priority int default 5,
    run_at timestamptz default null,
    delay interval default null,
    max_attempts int default 10,
    tenant_id text default null,
    correlation_id text default null,
    ordering_key text default null,
    unique_key text default null,
    unique_window interval default null,
    tags text[] default '{}',
    trace_parent text default null
) returns uuid
language plpgsql
set enable_seqscan = off
as $$
#variable_conflict use_variable
declare
    new_id constant uuid := jobs.new_id();
    now constant timestamptz := clock_timestamp();
    due timestamptz;
    scope text;
    holder jobs.unique_keys;
    tag text;
begin
    if kind is null or kind !~ '^[A-Za-z0-9_.:/-]{1,128}$' then
        raise exception 'kind: must be 1 to 128 characters out of letters, digits and _ - . : /'
            using errcode = '22023', hint = 'Pass the name the job is registered by, such as ''send_report''.';
    end if;
    if queue is null or queue !~ '^[A-Za-z0-9_.:/-]{1,128}$' then
        raise exception 'queue: must be 1 to 128 characters out of letters, digits and _ - . : /'
            using errcode = '22023', hint = 'Leave it out for the queue ''default''.';
    end if;
    if args is null then
        raise exception 'args: must not be null' using errcode = '22023', hint = 'Pass ''{}'' if there are none.';
    end if;
    if octet_length(args::text) > 1048576 then
        raise exception 'args: % bytes are more than the limit of 1048576', octet_length(args::text)
            using errcode = '22023', hint = 'Store the data elsewhere and pass a reference.';
    end if;
    if priority is null or priority not between 0 and 9 then
        raise exception 'priority: % is not a priority', coalesce(priority::text, 'null')
            using errcode = '22023', hint = 'Use 0 (first) to 9 (last).';
    end if;
    if max_attempts is null or max_attempts not between 1 and 1000 then
        raise exception 'max_attempts: % is out of range', coalesce(max_attempts::text, 'null')
            using errcode = '22023', hint = 'Use 1 to 1000.';
    end if;
    if run_at is not null and delay is not null then
        raise exception 'delay: run_at is set too' using errcode = '22023', hint = 'Pass one of the two.';
    end if;
    if not isfinite(coalesce(run_at, now + delay, now)) or coalesce(run_at, now + delay, now) > '9999-12-31 23:59:59.999999+00' then
        raise exception 'run_at: lies after the year 9999' using errcode = '22023', hint = 'Pass a time that will come.';
    end if;
    if unique_window is not null and unique_key is null then
        raise exception 'unique_window: there is no unique_key' using errcode = '22023', hint = 'Pass both, or neither.';
    end if;
    if cardinality(tags) > 32 then
        raise exception 'tags: more than 32' using errcode = '22023', hint = 'Use fewer.';
    end if;
    foreach tag in array coalesce(tags, '{}') loop
        if tag is null then
            raise exception 'tags: one is null' using errcode = '22023', hint = 'Leave it out.';
        end if;
        perform jobs.check_text('tags', tag, 128);
    end loop;
    perform jobs.check_text('tenant_id', tenant_id, 512),
            jobs.check_text('correlation_id', correlation_id, 512),
            jobs.check_text('ordering_key', ordering_key, 512),
            jobs.check_text('unique_key', unique_key, 512),
            jobs.check_text('trace_parent', trace_parent, 512);

    if unique_key is not null then
        -- The same as NewJob::unique_scope. The row is locked before the holder is looked at: only
        -- then is a holder that another transaction has just committed seen.
        scope := concat_ws(chr(31), 'unique', kind, coalesce(tenant_id, ''), unique_key);
        insert into jobs.unique_keys as k (key) values (scope)
            on conflict (key) do update set key = excluded.key
            returning * into holder;
        if holder.held_until > now
           or exists (select from jobs.jobs j where j.id = holder.job_id) then
            return holder.job_id;
        end if;
        update jobs.unique_keys k
           set job_id = new_id, held_until = now + unique_window
         where k.key = scope;
    end if;

    due := greatest(coalesce(run_at, now + delay, now), now);
    insert into jobs.jobs (
        id, run_at, enqueued_at, priority, max_attempts, state, kind, queue, args, tags,
        tenant_id, correlation_id, trace_parent, unique_key, ordering_key)
    values (
        new_id, due, now, priority, max_attempts,
        case when ordering_key is not null then 'waiting' when due > now then 'scheduled' else 'available' end,
        kind, queue, args, nullif(tags, '{}'),
        tenant_id, correlation_id, trace_parent, unique_key, ordering_key);
    perform pg_notify('windlass', queue);
    return new_id;
end
$$;
