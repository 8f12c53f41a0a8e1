-- Takes a document over, if nobody touched it since it was looked at. A ready one with chunks stays so: they are found
-- until new ones replace them. Called with the job that will process it, in one transaction: it says
-- what is known of earlier such jobs.
update documents
set status = case
        when status = 'ready' and exists (
            select from chunks c where c."tenantId" = $1 and c."documentId" = documents.id
        ) then status
        else 'processing'
    end,
    "updatedAt" = now() at time zone 'utc'
where "tenantId" = $1
  and id = $2
  and version = $3
  and (extract(epoch from "updatedAt") * 1000)::bigint = $4
returning (metadata -> 'adoption')::text as adoption
