-- A governed running job was in two indexes, which each claim and each finish of one paid for. Now the index of leases
-- alone says what limits count; leases are taken in order, so that it grows at its end. The state is in it because SQLite
-- would otherwise visit each row for it.

drop index jobs_governed_running;

drop index jobs_lease;

create index jobs_lease on jobs (lease_expires_at, queue, kind, coalesce(limit_key, tenant_id, ''), governed, state)
where state = 'running';
