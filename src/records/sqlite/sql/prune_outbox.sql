-- Deletes parts that were sent long ago, a batch of the oldest. Called by retention.
delete from outbox
where id in (
    select id
    from outbox
    where state = 'sent'
      and updated_at < ?1
    order by id
    limit ?2
)
