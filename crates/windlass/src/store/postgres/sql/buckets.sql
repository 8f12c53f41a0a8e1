-- The tokens of queue $1 in the buckets $2, and when they were counted. Caller: governed.rs.
select name, tokens, at
  from jobs.buckets
 where queue = $1
   and name = any ($2)
