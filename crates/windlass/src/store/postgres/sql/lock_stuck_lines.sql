-- Locks lines (tenant $1, key $2), in order, until the transaction ends. Caller: lines.rs.
select jobs.lock_line(line_lock)
  from (select distinct jobs.line_lock(tenant_id, ordering_key)
          from unnest($1::text[], $2::text[]) as line (tenant_id, ordering_key)
         order by 1) as locks (line_lock)
