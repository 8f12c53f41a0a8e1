-- Forgets up to $2 buckets that nobody has drawn from since $1: they have long been full. Caller: maintain.rs.
delete from jobs.buckets
 where (queue, name) in (
        select queue, name
          from jobs.buckets
         where at < $1
         limit $2)
