-- How the tables beside the named ones ($1) and the engine's stand: sizes, dead rows, and how many of those the server
-- waits for. Called by the weekly check and by jobctl.
select
    format('%I.%I', n.nspname, c.relname) as name,
    pg_table_size(c.oid) as bytes,
    coalesce(s.n_live_tup, 0) as live_rows,
    coalesce(s.n_dead_tup, 0) as dead_rows,
    (
        current_setting('autovacuum_vacuum_threshold')::float8
        + current_setting('autovacuum_vacuum_scale_factor')::float8 * greatest(c.reltuples, 0)
    )::bigint as vacuum_from,
    age(c.relfrozenxid)::float8 / current_setting('autovacuum_freeze_max_age')::float8 as freeze_age
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
where c.relkind = 'r'
  and (
      n.nspname = 'jobs'
      or n.oid in (select relnamespace from pg_class where relname = any ($1) and pg_table_is_visible(oid))
  )
order by name
