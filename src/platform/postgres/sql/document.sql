-- One document with its text. Called by the job that processes it.
select
    id,
    filename,
    "mimeType" as mime_type,
    path,
    "storageProvider" as storage_provider,
    checksum,
    version,
    status,
    metadata,
    (extract(epoch from "updatedAt") * 1000)::bigint as updated_at
from documents
where "tenantId" = $1
  and id = $2
