-- prune_tallies: forgets steps of ?1 seconds that began before ?2. Caller: tallies.rs.
delete from job_tallies
where step = ?1
  and at < ?2;
