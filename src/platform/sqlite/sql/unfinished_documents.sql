-- Documents, of one tenant or of all, that somebody should be working on and nobody has touched for a while; also those
-- whose text changed after it was indexed, unless that text has failed. Called by the job that takes them over.
select
    "tenantId" as tenant,
    id,
    version,
    "updatedAt" as updated_at
from documents
where (?1 is null or "tenantId" = ?1)
  and case status
          when 'pending' then "updatedAt" < ?2
          when 'processing' then "updatedAt" < ?3
          when 'ready' then version > 1
              and "updatedAt" < ?2
              and "updatedAt" > ?4
              and version > coalesce(cast(json_extract(metadata, '$.indexedVersion') as integer), 1)
              and version > coalesce(cast(json_extract(metadata, '$.failedVersion') as integer), 1)
          else false
      end
order by "updatedAt", id
limit ?5
