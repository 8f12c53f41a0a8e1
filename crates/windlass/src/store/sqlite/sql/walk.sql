-- walk: up to ?2 jobs after id ?1, by id, with those of their values that are in an envelope; finished ones too
-- if ?3. Caller: at_rest.rs.
select id, kind, tenant_id,
case when substr(args, 1, 3) = '{"$' then args end as args,
case when substr(result, 1, 3) = '{"$' then result end as result,
case when substr(checkpoint, 1, 3) = '{"$' then checkpoint end as checkpoint
from jobs
where id > ?1
and (?3 or finished_at is null)
order by id
limit ?2;
