-- Every tenant, and whether it is enabled. Called once per aggregation.
select id, enabled
from tenants
order by id
