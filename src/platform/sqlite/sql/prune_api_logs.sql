-- Deletes the ?3 oldest records of a tenant's API calls that were made before ?2. Called by the clean-up until nothing
-- is left.
delete from api_logs
where rowid in (
    select rowid
    from api_logs
    where "tenantId" = ?1
      and "timestamp" < ?2
    order by "timestamp"
    limit ?3
)
