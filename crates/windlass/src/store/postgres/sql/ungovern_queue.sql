-- New jobs of queue $1 are no longer governed, and its tokens are forgotten. Caller: governed.rs.
with forgotten as (
    delete from jobs.buckets
     where queue = $1
)
delete from jobs.governed_queues
 where queue = $1
