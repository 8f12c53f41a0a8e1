-- Deletes the $3 oldest records of a tenant's API calls that were made before $2. Called by the clean-up until nothing
-- is left. The time is named twice so that a partitioned table looks at its months only.
with old as materialized (
    select id, "timestamp"
    from api_logs
    where "tenantId" = $1
      and "timestamp" < $2
    order by "timestamp"
    limit $3
)
delete from api_logs l
using old
where l.id = old.id
  and l."timestamp" = old."timestamp"
  and l."timestamp" < $2
  and l."tenantId" = $1
