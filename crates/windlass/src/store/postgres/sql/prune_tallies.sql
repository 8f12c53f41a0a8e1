-- Forgets steps of $1 seconds that began more than $2 seconds before $3 (or now). Caller: tallies.rs.
delete from jobs.tallies
 where step = $1
   and at < floor(extract(epoch from coalesce($3, clock_timestamp())))::bigint - $2
