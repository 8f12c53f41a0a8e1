-- Forgets some vectors that were not used since a time. Called by the clean-up, again and again.
delete from jobs.embedding_cache
where ctid = any (array(
    select ctid
    from jobs.embedding_cache
    where used_at < timestamptz 'epoch' + ($1 + 1) * interval '1 ms'
    order by used_at
    limit $2
))
