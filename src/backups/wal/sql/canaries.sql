-- When canaries were planted since a moment, oldest first.
select (extract(epoch from planted_at) * 1000000)::bigint
  from jobs.backup_canaries
 where planted_at >= to_timestamp($1 / 1000000.0)
 order by planted_at;
