-- Hands up to $2 governed jobs of queue $1 back to ordinary claims, without a change of their place; says where.
-- Caller: governed.rs.
update jobs.jobs
   set governed = false
 where id = any (array (
        select j.id
          from jobs.jobs j
         where j.queue = $1
           and j.state in ('scheduled', 'available', 'retryable')
           and j.governed
         limit $2
           for update skip locked))
returning queue, priority, run_at
