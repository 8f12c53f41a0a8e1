-- How many jobs of governed queue $1 run, whatever their kind and key, with the first end of a lease among them. None of
-- them ends before $2. Caller: governed.rs.
select '' as kind, '' as key, count(*) as jobs, min(lease_expires_at)
  from jobs.jobs
 where queue = $1
   and governed
   and state = 'running'
   and lease_expires_at >= $2
