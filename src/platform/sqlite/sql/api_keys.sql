-- API keys that begin so and are good, of admins first. Called for requests, some seconds apart for each key.
select k.id, 'admin' as holder, k."adminId" as owner, u.role as role, k.hash, k.salt
from admin_api_keys as k
join admin_users as u on u.id = k."adminId"
where k.prefix = ?1
  and k.active
  and (k."expiresAt" is null or k."expiresAt" > cast(round(unixepoch('subsec') * 1000) as integer))
union all
select k.id, 'tenant' as holder, k."tenantId" as owner, null as role, k.hash, k.salt
from tenant_api_keys as k
where k.prefix = ?1
  and k.active
  and (k."expiresAt" is null or k."expiresAt" > cast(round(unixepoch('subsec') * 1000) as integer))
order by holder, id
limit 20
