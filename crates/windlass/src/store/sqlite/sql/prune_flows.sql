-- prune_flows: deletes up to ?3 flows that finished, without a failure before ?1, with one before ?2. Caller: flows.rs.
delete from job_flows
where id in (
    select id
    from job_flows
    where finished_at is not null
    and finished_at < iif(failed > 0, ?2, ?1)
    order by finished_at, id
    limit ?3
)
returning id;
