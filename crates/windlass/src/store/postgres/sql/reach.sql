-- How far back a search before id $2 comes that looks at no more than $1 jobs of each table: for $3 states, $4 tenant
-- and $5 correlation id (each null: any), and $6 of the unfinished ones as in list.sql. No row: to the end.
-- The branches are those of list.sql. Jobs that run are few, as are those of one correlation id: there is no bound to
-- them. Caller: search.rs.
select id
  from (
    (select id
       from jobs.jobs
      where $6 = 'all'
        and id < $2
      order by id desc
     offset $1
      limit 1)
    union all
    (select id
       from jobs.jobs
      where $6 = 'set back'
        and state in ('scheduled', 'retryable', 'waiting')
        and id < $2
      order by id desc
     offset $1
      limit 1)
    union all
    (select id
       from jobs.jobs
      where $6 = 'of one'
        and $5::text is null
        and tenant_id = $4
        and state <> 'running'
        and id < $2
      order by id desc
     offset $1
      limit 1)
    union all
    (select id
       from jobs.completed_jobs
      where $4::text is null
        and $5::text is null
        and ($3::text[] is null or 'completed' = any ($3))
        and id < $2
      order by id desc
     offset $1
      limit 1)
    union all
    (select id
       from jobs.completed_jobs
      where tenant_id = $4
        and $5::text is null
        and ($3::text[] is null or 'completed' = any ($3))
        and id < $2
      order by id desc
     offset $1
      limit 1)
    union all
    (select id
       from jobs.set_aside_jobs
      where $4::text is null
        and $5::text is null
        and ($3::text[] is null or $3 && array['cancelled', 'dead'])
        and id < $2
      order by id desc
     offset $1
      limit 1)
    union all
    (select id
       from jobs.set_aside_jobs
      where tenant_id = $4
        and $5::text is null
        and ($3::text[] is null or $3 && array['cancelled', 'dead'])
        and id < $2
      order by id desc
     offset $1
      limit 1)
  ) as reached
 order by id desc
 limit 1
