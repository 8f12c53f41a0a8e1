-- Up to $1 flows before id $2 (null: from the newest), newest first, that match $3 tenant, $4 name and $5 whether they
-- have finished (each null: any). Caller: flows.rs.
(select id, name, tenant_id, correlation_id, created_at, finished_at, steps, completed, failed, skipped
   from jobs.flows
  where $3::text is null
    and ($2::uuid is null or id < $2)
    and ($4::text is null or name = $4)
    and ($5::boolean is null or (finished_at is not null) = $5)
  order by id desc
  limit $1)
 union all
(select id, name, tenant_id, correlation_id, created_at, finished_at, steps, completed, failed, skipped
   from jobs.flows
  where tenant_id = $3
    and ($2::uuid is null or id < $2)
    and ($4::text is null or name = $4)
    and ($5::boolean is null or (finished_at is not null) = $5)
  order by id desc
  limit $1)
