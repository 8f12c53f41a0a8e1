-- What was counted in steps of $1 seconds since the step of $3 seconds that had begun $2 seconds before $4 (or now), in
-- steps of $3. By a time that stands still, so that the key's index begins there. Caller: tallies.rs.
select at / $3 * $3 as at, queue, measure, sum(n)::bigint as n
  from jobs.tallies
 where step = $1
   and at >= (floor(extract(epoch from coalesce($4, now())))::bigint - $2) / $3 * $3
 group by 1, 2, 3
 order by 1, 2, 3
