-- Makes the running jobs of queue $1 governed, which were claimed before it was, so that limits count them.
-- Caller: governed.rs.
update jobs.jobs
   set governed = true
 where id = any (array (
        select j.id
          from jobs.jobs j
         where j.state = 'running'
           and j.queue = $1
           and not j.governed
         order by j.lease_expires_at
           for update skip locked))
