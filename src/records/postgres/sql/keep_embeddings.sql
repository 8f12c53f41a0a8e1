-- Remembers vectors. Called after they were made; what is known already stays.
insert into jobs.embedding_cache (tenant_id, model, dimensions, content_hash, embedding)
select $1, $2, $3, new.content_hash, new.embedding
from unnest($4::bytea[], $5::bytea[]) as new (content_hash, embedding)
on conflict do nothing
