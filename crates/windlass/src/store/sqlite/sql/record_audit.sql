-- record_audit: at ?1 actor ?2 did ?3 to ?4 of tenant ?5, which turned ?6 into ?7, because of ?8. Caller: control.rs.
insert into job_audit (at, actor, action, subject, tenant_id, before, after, reason)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
