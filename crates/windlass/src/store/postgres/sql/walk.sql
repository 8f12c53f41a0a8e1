-- Up to $2 jobs after id $1, by id, with those of their values that are in an envelope; finished ones too if $3.
-- Caller: at_rest.rs.
(select id, kind, tenant_id,
        case when left(args::text, 3) = '{"$' then args::text end,
        null::text,
        case when left(checkpoint::text, 3) = '{"$' then checkpoint::text end
   from jobs.jobs
  where id > $1
  order by id
  limit $2)
union all
(select id, kind, tenant_id,
        case when left(args::text, 3) = '{"$' then args::text end,
        case when left(result::text, 3) = '{"$' then result::text end,
        null::text
   from jobs.finished_jobs
  where $3
    and id > $1
  order by id
  limit $2)
 order by id
 limit $2
