-- The running jobs of governed queue $1, by kind and key if $3 and else together, with the first end of a lease among
-- them. None of them ends before $2. Caller: governed.rs.
select case when $3 then kind else '' end as kind, case when $3 then coalesce(limit_key, tenant_id, '') else '' end as key,
       count(*) as jobs, min(lease_expires_at)
  from jobs.jobs
 where queue = $1
   and governed
   and state = 'running'
   and lease_expires_at >= $2
 group by case when $3 then kind else '' end, case when $3 then coalesce(limit_key, tenant_id, '') else '' end
