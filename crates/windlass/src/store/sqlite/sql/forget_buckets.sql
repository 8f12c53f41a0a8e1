-- forget_buckets: forgets the tokens of queue ?1. Caller: governed.rs.
delete from job_buckets
where queue = ?1;
