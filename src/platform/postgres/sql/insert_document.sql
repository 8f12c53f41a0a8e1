-- A new document, to be processed. Called by uploads, demos and tests.
insert into documents
    (id, "tenantId", filename, "mimeType", size, path, checksum, metadata, "createdAt", "updatedAt")
values ($1, $2, $3, $4, $5, $6, $7, $8, now() at time zone 'utc', now() at time zone 'utc')
