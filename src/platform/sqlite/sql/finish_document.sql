-- A document is ready; what is known of it is added, its text stays, and comes back if somebody wrote over it.
-- Called after its chunks are replaced.
update documents
set status = 'ready',
    metadata = json_patch(json_remove(case when json_type(metadata, '$.content') is not null then metadata else json_patch(?4, metadata) end, '$.error', '$.failedAt', '$.failedVersion', '$.adoption'), ?3),
    "updatedAt" = cast(round(unixepoch('subsec') * 1000) as integer)
where "tenantId" = ?1
  and id = ?2
