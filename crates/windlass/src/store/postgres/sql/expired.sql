-- Up to $2 jobs whose lease ran out before $1 (or now), the longest overdue first. Caller: leases.rs.
select id
  from jobs.jobs
 where state = 'running'
   and lease_expires_at < coalesce($1, clock_timestamp())
 order by lease_expires_at, id
 limit $2
