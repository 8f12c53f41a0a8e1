-- tallied: what was counted since ?2 in steps of ?1 seconds, in steps of ?3. Caller: tallies.rs.
select at / ?3 * ?3 as at, queue, measure, sum(n) as n
from job_tallies
where step = ?1
  and at >= ?2
group by 1, 2, 3
order by 1, 2, 3;
