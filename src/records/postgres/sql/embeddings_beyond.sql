-- When the vector was last used that is one too many. Called by the clean-up.
select (extract(epoch from used_at) * 1000)::bigint
from jobs.embedding_cache
order by used_at desc
offset $1
limit 1
