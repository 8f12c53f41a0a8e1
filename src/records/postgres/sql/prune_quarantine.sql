-- Deletes what was set aside long ago, a batch of the oldest. Called by retention.
delete from jobs.quarantine
where id in (
    select id
    from jobs.quarantine
    where taken_at < to_timestamp($1 / 1000.0)
    order by taken_at
    limit $2
)
