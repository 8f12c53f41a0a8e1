-- Locks the lines of the ordered jobs among $1, in order, until the transaction ends. Before any of
-- them is changed: line locks come before rows everywhere. Caller: lines.rs.
select jobs.lock_line(line_lock)
  from (select distinct jobs.line_lock(tenant_id, ordering_key)
          from jobs.jobs
         where id = any ($1)
           and ordering_key is not null
         order by 1) as locks (line_lock)
