-- Adds one new job in its caller's transaction, as enqueue.sql does, and takes its key $18 until it ends or, if that is longer,
-- for $19 microseconds; or tells that somebody took the key before. Caller: enqueue.rs.
select jobs.enqueue_in($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
