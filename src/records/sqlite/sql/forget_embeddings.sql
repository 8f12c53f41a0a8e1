-- Forgets some vectors that were not used since a time. Called by the clean-up, again and again.
delete from embedding_cache
where rowid in (
    select rowid
    from embedding_cache
    where used_at <= ?1
    order by used_at
    limit ?2
)
