-- Deletes up to $2 entries from before $1, the oldest first. Caller: control.rs.
delete from jobs.audit
 where id = any (array (
        select id
          from jobs.audit
         where at < $1
         order by at
         limit $2))
