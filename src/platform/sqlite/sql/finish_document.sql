-- A document is ready; what is known of it is added, its text stays. Called after its chunks are replaced.
update documents
set status = 'ready',
    metadata = json_patch(json_remove(metadata, '$.error', '$.failedAt'), ?3),
    "updatedAt" = cast(round(unixepoch('subsec') * 1000) as integer)
where "tenantId" = ?1
  and id = ?2
