-- A line's head is let go by plans that are made once, and without a subtransaction for each job: only isolation
-- stricter than READ COMMITTED needs one, and more than 64 in a transaction slow every snapshot of the server down.
create function jobs.let_oldest_go(line_key text, line_tenant text, came_first uuid) returns void
language plpgsql
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
begin
    -- The oldest; of those that came in one call, the one that came first.
    update jobs.jobs
       set state = case when run_at > enqueued_at then 'scheduled' else 'available' end
     where id = (
            select w.id
              from jobs.jobs w
             where w.ordering_key = line_key
               and coalesce(w.tenant_id, '') = coalesce(line_tenant, '')
               and w.state = 'waiting'
             order by w.enqueued_at, w.id <> came_first, w.id
             limit 1);
end
$$;

create or replace function jobs.let_head_go() returns trigger
language plpgsql
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
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
    if current_setting('transaction_isolation') = 'read committed' then
        perform jobs.let_oldest_go(new.ordering_key, new.tenant_id, new.id);
        return null;
    end if;
    begin
        perform jobs.let_oldest_go(new.ordering_key, new.tenant_id, new.id);
    exception
        -- Its snapshot cannot see the head that another transaction let go.
        when unique_violation then
            null;
    end;
    return null;
end
$$;
