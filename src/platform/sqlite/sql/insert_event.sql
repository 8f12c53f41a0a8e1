-- Something that happened; nothing if it was recorded under that id. Called by jobs that announce it.
insert into events (id, "tenantId", type, data, "timestamp")
values (?1, ?2, ?3, ?4, ?5)
on conflict do nothing
