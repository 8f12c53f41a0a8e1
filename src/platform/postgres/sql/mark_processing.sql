-- Work on one version begins. Called by the job that processes it.
-- A ready document stays so: its old chunks are found until the new ones replace them.
update documents
set status = case status when 'ready' then status else 'processing' end,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
  and version = $3
