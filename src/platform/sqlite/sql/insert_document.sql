-- A new document, to be processed. Called by uploads, demos and tests.
insert into documents
    (id, "tenantId", filename, "mimeType", size, path, checksum, metadata, "createdAt", "updatedAt")
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, cast(round(unixepoch('subsec') * 1000) as integer), cast(round(unixepoch('subsec') * 1000) as integer))
