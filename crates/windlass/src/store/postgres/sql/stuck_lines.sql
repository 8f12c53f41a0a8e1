-- Up to $1 lines with waiting jobs and no head: their hand-off was missed. Caller: maintain.rs.
with recursive line as (
    (select w.ordering_key, coalesce(w.tenant_id, '') as tenant
       from jobs.jobs w
      where w.state = 'waiting'
        and w.ordering_key is not null
      order by w.ordering_key, coalesce(w.tenant_id, '')
      limit 1)
    union all
    select next.*
      from line
     cross join lateral (
            select w.ordering_key, coalesce(w.tenant_id, '') as tenant
              from jobs.jobs w
             where w.state = 'waiting'
               and (w.ordering_key, coalesce(w.tenant_id, '')) > (line.ordering_key, line.tenant)
             order by w.ordering_key, coalesce(w.tenant_id, '')
             limit 1) as next
)
select nullif(tenant, ''), ordering_key
  from line
 where not exists (
        select
          from jobs.jobs h
         where h.ordering_key = line.ordering_key
           and coalesce(h.tenant_id, '') = line.tenant
           and h.state <> 'waiting')
 limit $1
