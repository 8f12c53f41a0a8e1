-- Deletes the parts of messages that were sent long ago, all parts of a message or none: one that is missing would be
-- written down and sent again. A batch of the oldest messages. Called by retention.
delete from outbox
where (tenant, message) in (
    select f.tenant, f.message
    from outbox f
    where f.state = 'sent'
      and f.part = 1
      and f.updated_at < ?1
      and not exists (
          select 1 from outbox s
          where s.tenant = f.tenant
            and s.message = f.message
            and (s.state <> 'sent' or s.updated_at >= ?1)
      )
    order by f.id
    limit ?2
)
