-- The last day of a tenant that has figures. Called before each aggregation, to catch up from there.
select max(date)
from analytics_daily
where tenant_id = ?1
