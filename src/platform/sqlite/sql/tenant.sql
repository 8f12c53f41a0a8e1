-- One tenant with its settings. Called by every job that acts for one.
select id, name, enabled, settings
from tenants
where id = ?1
