-- A version could not be processed; the reason is added, its text stays, and comes back if somebody wrote over it.
-- Called by the job when it fails. A late failure never hides a ready document.
update documents
set status = 'failed',
    metadata = case when metadata ? 'content' then metadata else $5 || metadata end || $4,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
  and version = $3
  and status <> 'ready'
