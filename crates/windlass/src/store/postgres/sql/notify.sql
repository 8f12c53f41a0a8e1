-- Tells every process that the queues $1 may have work. Caller: notify.rs.
select pg_notify('windlass', queue)
  from unnest($1::text[]) as woken (queue)
