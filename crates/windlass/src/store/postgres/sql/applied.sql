-- The migrations that were applied, oldest first. Caller: schema.rs.
select version, description
  from jobs._migrations
 where success
 order by version
