-- Makes up to $2 jobs of queue $1 governed that were enqueued by someone who did not know. Caller: governed.rs.
update jobs.jobs
   set governed = true
 where id = any (array (
        select j.id
          from jobs.jobs j
         where j.queue = $1
           and j.state in ('scheduled', 'available', 'retryable')
           and not j.governed
         order by j.priority, j.run_at, j.id
         limit $2
           for update skip locked))
