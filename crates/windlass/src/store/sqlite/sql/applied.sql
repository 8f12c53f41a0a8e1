-- applied: the migrations that were applied, oldest first. Caller: migrate.rs.
select version, description
from _windlass_migrations
where success
order by version;
