-- The schema's version. Caller: schema.rs.
select coalesce(max(version), 0)
  from jobs._migrations
 where success
