-- A version could not be processed; the reason is added, its text stays, and comes back if somebody wrote over it.
-- Called by the job when it fails. A ready document stays ready, as its old chunks are found still; and of a version that
-- was indexed after all, a late failure tells nothing.
update documents
set status = case status when 'ready' then status else 'failed' end,
    metadata = (case when metadata ? 'content' then metadata else $5 || metadata end - 'adoption') || $4,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
  and version = $3
  and (
      status <> 'ready'
      or version > case when metadata ->> 'indexedVersion' ~ '^[0-9]{1,9}$' then (metadata ->> 'indexedVersion')::integer else 1 end
  )
