-- Remembers a vector. Called after it was made; what is known already stays.
insert into embedding_cache (tenant_id, model, dimensions, content_hash, embedding)
values (?1, ?2, ?3, ?4, ?5)
on conflict do nothing
