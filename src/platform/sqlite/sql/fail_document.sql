-- A version could not be processed; the reason is added, its text stays, and comes back if somebody wrote over it.
-- Called by the job when it fails. A ready document stays ready, as its old chunks are found still; and of a version that
-- was indexed after all, a late failure tells nothing.
update documents
set status = case status when 'ready' then status else 'failed' end,
    metadata = json_patch(json_remove(case when json_type(metadata, '$.content') is not null then metadata else json_patch(?5, metadata) end, '$.adoption'), ?4),
    "updatedAt" = cast(round(unixepoch('subsec') * 1000) as integer)
where "tenantId" = ?1
  and id = ?2
  and version = ?3
  and (
      status <> 'ready'
      or version > coalesce(cast(json_extract(metadata, '$.indexedVersion') as integer), 1)
  )
