-- Whether a partition of the table named $1 covers the instant $2. Called for each month before it is added.
select exists (
    select
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass($1)
      and pg_get_expr(c.relpartbound, c.oid) like 'FOR VALUES FROM (%'
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \(''([^'']+)''\)')::timestamp <= $2
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamp > $2
)
