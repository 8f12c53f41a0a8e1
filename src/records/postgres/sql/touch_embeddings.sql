-- Notes that vectors were used, once a day. Called after they were read; whoever else notes the same is not waited for.
update jobs.embedding_cache
set used_at = now()
where ctid = any (array(
    select ctid
    from jobs.embedding_cache
    where tenant_id = $1
      and model = $2
      and dimensions = $3
      and content_hash = any ($4)
      and used_at < now() - interval '1 day'
    for no key update skip locked
))
