-- Takes a document over, if nobody touched it since it was looked at. A ready one stays so: its old chunks are found until
-- new ones replace them. Called with the job that will process it, in one transaction.
update documents
set status = case status when 'ready' then status else 'processing' end,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
  and version = $3
  and (extract(epoch from "updatedAt") * 1000)::bigint = $4
