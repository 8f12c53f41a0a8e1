-- A batch of a document's new chunks. Called after the old ones are deleted.
insert into chunks (id, "tenantId", "documentId", content, embedding, position, metadata, "createdAt")
select new.id, $1, $2, new.content, new.embedding, new.position, new.metadata, now() at time zone 'utc'
from unnest($3::text[], $4::text[], $5::vector[], $6::integer[], $7::jsonb[])
    as new (id, content, embedding, position, metadata)
