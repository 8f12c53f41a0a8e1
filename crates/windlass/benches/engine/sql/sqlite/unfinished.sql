-- Jobs without a recorded outcome, each state by its partial index; benches/engine/ours.rs.
select
    (
        select count(*)
        from jobs
        where state in ('scheduled', 'available', 'retryable')
    ) + (
        select count(*)
        from jobs
        where state = 'running'
    ) + (
        select count(*)
        from jobs
        where state = 'waiting'
    )
