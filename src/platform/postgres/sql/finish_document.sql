-- A document is ready; what is known of it is added, its text stays, and comes back if somebody wrote over it.
-- Called after its chunks are replaced.
update documents
set status = 'ready',
    metadata = (case when metadata ? 'content' then metadata else $4 || metadata end - array['error', 'failedAt', 'failedVersion', 'adoption']) || $3,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
