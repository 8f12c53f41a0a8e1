-- A new text for a document: the next version, to be processed. Called by updates.
update documents
set version = version + 1,
    status = 'pending',
    size = $3,
    checksum = $4,
    metadata = metadata || jsonb_build_object('content', $5::text),
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
returning version
