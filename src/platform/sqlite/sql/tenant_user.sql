-- What a person is at a tenant. Called for requests with their token, some seconds apart for each.
select role
from tenant_users
where "tenantId" = ?1
  and id = ?2
