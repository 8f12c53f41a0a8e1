-- When the vector was last used that is one too many. Called by the clean-up.
select used_at
from embedding_cache
order by used_at desc
limit 1
offset ?1
