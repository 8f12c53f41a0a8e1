-- Deletes parts that were sent long ago, a batch of the oldest. Called by retention.
delete from jobs.outbox
where id in (
    select id
    from jobs.outbox
    where state = 'sent'
      and updated_at < to_timestamp($1 / 1000.0)
    order by id
    limit $2
)
