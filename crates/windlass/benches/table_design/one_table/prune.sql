-- Deletes up to 5,000 jobs that finished before today.
delete from windlass_bench.jobs
 where id = any (array (
        select id
          from windlass_bench.jobs
         where finished_at < current_date
         limit 5000))
