-- resign: ?2 gives role ?1 up. Caller: workers.rs.
delete from job_leaders
where role = ?1
and holder = ?2;
