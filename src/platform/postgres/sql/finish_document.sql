-- A document is ready; what is known of it is added, its text stays. Called after its chunks are replaced.
update documents
set status = 'ready',
    metadata = (metadata - array['error', 'failedAt']) || $3,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
