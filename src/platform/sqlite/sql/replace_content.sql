-- A new text for a document: the next version, to be processed. Called by updates.
update documents
set version = version + 1,
    status = 'pending',
    size = ?3,
    checksum = ?4,
    metadata = json_set(metadata, '$.content', ?5),
    "updatedAt" = cast(round(unixepoch('subsec') * 1000) as integer)
where "tenantId" = ?1
  and id = ?2
returning version
