-- elect: ?2 takes or keeps role ?1 until ?3 unless another holds it at ?4. Caller: workers.rs.
insert into job_leaders (role, holder, expires_at)
values (?1, ?2, ?3)
on conflict (role) do update
set
    holder = excluded.holder,
    expires_at = excluded.expires_at
where holder = excluded.holder
or expires_at <= ?4;
