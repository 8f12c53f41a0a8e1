-- Whether the words of chunks are indexed, as ours are and an existing platform's may be. Called before a keyword search.
select exists (
    select
    from pg_index i
    where i.indrelid = to_regclass('chunks')
      and i.indisvalid
      and pg_get_expr(i.indexprs, i.indrelid) = 'to_tsvector(''simple''::regconfig, content)'
)
