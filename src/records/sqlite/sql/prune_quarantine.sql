-- Deletes what was set aside long ago, a batch of the oldest. Called by retention.
delete from quarantine
where id in (
    select id
    from quarantine
    where taken_at < ?1
    order by taken_at
    limit ?2
)
