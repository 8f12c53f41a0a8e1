-- What must hold of a queue at every moment, and how many rows break it. Asked of a restored database.
select 'an unfinished job is no finished one too' as rule, count(*) as broken
  from jobs.jobs u
 where exists (select from jobs.finished_jobs f where f.id = u.id)
union all
select 'a finished job is there once', count(*)
  from (select from jobs.finished_jobs group by id having count(*) > 1) twice
union all
select 'an unfinished job is in a state of unfinished jobs', count(*)
  from jobs.jobs
 where state not in ('scheduled', 'available', 'running', 'retryable', 'waiting')
union all
select 'a finished job is in a state of finished jobs', count(*)
  from jobs.finished_jobs
 where state not in ('completed', 'cancelled', 'dead')
union all
select 'a job has a lease and a fence exactly while it runs', count(*)
  from jobs.jobs
 where (state = 'running') <> (lease_expires_at is not null)
    or (state = 'running' and claim_no = 0)
union all
select 'attempts do not exceed their maximum', count(*)
  from jobs.jobs
 where attempt > max_attempts
union all
select 'an ordering key has one head', count(*)
  from (
        select
          from jobs.jobs
         where state <> 'waiting'
           and ordering_key is not null
         group by ordering_key, coalesce(tenant_id, '')
        having count(*) > 1) two
union all
select 'a line that waits has a head', count(*)
  from jobs.jobs w
 where w.state = 'waiting'
   and w.ordering_key is not null
   and not exists (
        select
          from jobs.jobs h
         where h.ordering_key = w.ordering_key
           and coalesce(h.tenant_id, '') = coalesce(w.tenant_id, '')
           and h.state <> 'waiting')
union all
select 'no fewer steps are open than a flow says', count(*)
  from jobs.flows
 where completed + failed + skipped > steps;
