-- Looks at up to $2 keys after key $1, drops those without a window whose job is finished or gone, and says where to
-- go on. Caller: maintain.rs.
with seen as materialized (
    select key, held_until is null and not exists (select from jobs.jobs j where j.id = k.job_id) as free
      from jobs.unique_keys k
     where key > $1
     order by key
     limit $2
       for update skip locked
),
dropped as (
    delete from jobs.unique_keys
     where key = any (array (select key from seen where free))
)
select count(*), max(key)
  from seen
