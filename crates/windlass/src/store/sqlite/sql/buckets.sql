-- buckets: the tokens of queue ?1 in the buckets of the array ?2, and when they were counted. Caller: governed.rs.
select
    name,
    tokens,
    at
from job_buckets
where queue = ?1
and name in (select value from json_each(?2));
