-- Deletes up to $4 jobs, the oldest first: completed before $1, cancelled before $2, dead before $3; $5 is the
-- latest of the three. Caller: maintain.rs.
delete from jobs.finished_jobs
 where finished_at < $5
   and id = any (array (
        select over.id
          from (
                (select id, finished_at
                   from jobs.finished_jobs
                  where state = 'completed'
                    and finished_at < $1
                  order by finished_at, id
                  limit $4)
                union all
                (select id, finished_at
                   from jobs.finished_jobs
                  where state = 'cancelled'
                    and finished_at < $2
                  order by finished_at, id
                  limit $4)
                union all
                (select id, finished_at
                   from jobs.finished_jobs
                  where state = 'dead'
                    and finished_at < $3
                  order by finished_at, id
                  limit $4)) as over
         order by over.finished_at, over.id
         limit $4))
