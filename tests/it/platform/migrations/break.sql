-- Faults that existing databases have: row security without a policy, another dimension, and the
-- index that the schema asks for but no embedding fits into.

drop policy events_tenant_isolation on events;
drop index chunks_embedding_ivfflat_idx;
alter table chunks alter column embedding type vector(1536);
create index chunks_embedding_ivfflat_idx on chunks using btree (embedding);
