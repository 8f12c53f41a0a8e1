-- Documents, of one tenant or of all, that somebody should be working on and nobody has touched for a while; also those
-- whose text changed after it was indexed, unless that text has failed. Called by the job that takes them over.
select
    "tenantId" as tenant,
    id,
    version,
    (extract(epoch from "updatedAt") * 1000)::bigint as updated_at
from documents
where ($1::text is null or "tenantId" = $1)
  and case status
          when 'pending' then "updatedAt" < $2
          when 'processing' then "updatedAt" < $3
          when 'ready' then version > 1
              and "updatedAt" < $2
              and "updatedAt" > $4
              and version > case when metadata ->> 'indexedVersion' ~ '^[0-9]{1,9}$' then (metadata ->> 'indexedVersion')::integer else 1 end
              and version > case when metadata ->> 'failedVersion' ~ '^[0-9]{1,9}$' then (metadata ->> 'failedVersion')::integer else 1 end
          else false
      end
order by "updatedAt", id
limit $5
