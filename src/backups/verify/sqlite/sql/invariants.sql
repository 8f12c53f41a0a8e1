-- What must hold of a queue at every moment, and how many rows break it. Asked of a restored file.
select 'a job is there once' as rule, count(*) as broken
  from (select 1 from jobs group by id having count(*) > 1)
union all
select 'a job is in a state that there is', count(*)
  from jobs
 where state not in
    ('scheduled', 'available', 'running', 'retryable', 'waiting', 'completed', 'cancelled', 'dead')
union all
select 'a job has ended exactly if it is in a state of finished jobs', count(*)
  from jobs
 where (state in ('completed', 'cancelled', 'dead')) <> (finished_at is not null)
union all
select 'a job has a lease and a fence exactly while it runs', count(*)
  from jobs
 where (state = 'running') <> (lease_expires_at is not null)
    or (state = 'running' and claim_no = 0)
union all
select 'attempts do not exceed their maximum', count(*)
  from jobs
 where finished_at is null
   and attempt > max_attempts
union all
select 'an ordering key has one head', count(*)
  from (
        select 1
          from jobs
         where finished_at is null
           and state <> 'waiting'
           and ordering_key is not null
         group by ordering_key, ifnull(tenant_id, '')
        having count(*) > 1);
