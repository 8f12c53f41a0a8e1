-- Deletes the parts of messages that were sent long ago, all parts of a message or none: one that is missing would be
-- written down and sent again. A batch of the oldest messages. Called by retention.
delete from jobs.outbox o
using (
    select f.tenant, f.message
    from jobs.outbox f
    where f.state = 'sent'
      and f.part = 1
      and f.updated_at < to_timestamp($1 / 1000.0)
      and not exists (
          select from jobs.outbox s
          where s.tenant = f.tenant
            and s.message = f.message
            and (s.state <> 'sent' or s.updated_at >= to_timestamp($1 / 1000.0))
      )
    order by f.id
    limit $2
) whole
where o.tenant = whole.tenant
  and o.message = whole.message
