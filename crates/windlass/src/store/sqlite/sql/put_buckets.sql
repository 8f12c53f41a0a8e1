-- put_buckets: writes down the tokens of queue ?1 in the buckets of the array ?2 of [name, tokens], at ?3.
-- Caller: governed.rs.
insert into job_buckets (queue, name, tokens, at)
select
    ?1,
    value ->> 0,
    value ->> 1,
    ?3
from json_each(?2)
where true
on conflict (queue, name) do update set tokens = excluded.tokens, at = excluded.at;
