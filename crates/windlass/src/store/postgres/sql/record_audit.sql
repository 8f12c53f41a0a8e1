-- Records at $1 (or now) that actor $2 did $3 to $4 of tenant $5, which turned $6 into $7, because of $8. Caller: control.rs.
insert into jobs.audit (at, actor, action, subject, tenant_id, before, after, reason)
values (coalesce($1, clock_timestamp()), $2, $3, $4, $5, $6::json, $7::json, $8)
