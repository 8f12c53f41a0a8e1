-- Locks all lines that steps of flow $1 are in or may join, in order, until the transaction ends. Caller: flows.rs.
select count(jobs.lock_line(line_lock)::text)
  from (select distinct jobs.line_lock(f.tenant_id, s.ordering_key)
          from jobs.flows f
          join jobs.flow_steps s on s.flow_id = f.id
         where f.id = $1
           and s.ordering_key is not null
         order by 1) as locks (line_lock)
