-- schedule_put: writes down schedule ?1 as ?2, decided until ?3, declared at ?4. Caller: schedules.rs.
insert into job_schedules (name, definition, decided_until, declared_at)
values (?1, ?2, ?3, ?4)
on conflict (name) do update
set
    definition = excluded.definition,
    decided_until = max(decided_until, excluded.decided_until),
    declared_at = excluded.declared_at,
    retired_at = null;
