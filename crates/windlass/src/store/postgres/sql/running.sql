-- The running jobs of governed queue $1, by kind and key, with the first end of a lease among them. None of them ends
-- before $2. Caller: governed.rs.
select kind, coalesce(limit_key, tenant_id, '') as key, count(*) as jobs, min(lease_expires_at)
  from jobs.jobs
 where queue = $1
   and governed
   and state = 'running'
   and lease_expires_at >= $2
 group by kind, coalesce(limit_key, tenant_id, '')
