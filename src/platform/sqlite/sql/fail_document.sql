-- A version could not be processed; the reason is added, its text stays, and comes back if somebody wrote over it.
-- Called by the job when it fails. A late failure never hides a ready document.
update documents
set status = 'failed',
    metadata = json_patch(case when json_type(metadata, '$.content') is not null then metadata else json_patch(?5, metadata) end, ?4),
    "updatedAt" = cast(round(unixepoch('subsec') * 1000) as integer)
where "tenantId" = ?1
  and id = ?2
  and version = ?3
  and status <> 'ready'
