-- Deletes what was noted long ago, a batch of the oldest. Called by retention.
delete from webhook_deliveries
where id in (
    select id
    from webhook_deliveries
    where at < ?1
    order by at
    limit ?2
)
