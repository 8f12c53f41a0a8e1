-- Deletes what was noted long ago, a batch of the oldest. Called by retention.
delete from jobs.webhook_deliveries
where id in (
    select id
    from jobs.webhook_deliveries
    where at < to_timestamp($1 / 1000.0)
    order by at
    limit $2
)
