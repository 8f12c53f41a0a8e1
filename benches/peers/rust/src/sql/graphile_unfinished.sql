-- Jobs of graphile_worker that are left; it deletes those that succeeded; graphile.rs.
select count(*)
from graphile_worker._private_jobs
