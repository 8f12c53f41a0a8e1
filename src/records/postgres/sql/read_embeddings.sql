-- Vectors that are known of these texts. Called before a document's chunks are embedded.
select content_hash, embedding
from jobs.embedding_cache
where tenant_id = $1
  and model = $2
  and dimensions = $3
  and content_hash = any ($4)
