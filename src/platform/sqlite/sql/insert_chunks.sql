-- One of a document's new chunks. Called after the old ones are deleted.
insert into chunks (id, "tenantId", "documentId", content, embedding, position, metadata, "createdAt")
values (?3, ?1, ?2, ?4, ?5, ?6, ?7, cast(round(unixepoch('subsec') * 1000) as integer))
