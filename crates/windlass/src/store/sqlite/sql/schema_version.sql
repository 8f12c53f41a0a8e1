-- schema_version: the newest migration that was applied. Caller: migrate.rs.
select coalesce(max(version), 0)
from _windlass_migrations
where success;
