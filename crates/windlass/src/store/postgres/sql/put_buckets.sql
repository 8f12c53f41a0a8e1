-- Writes down the tokens ($3) of queue $1 in buckets ($2) at $4. Caller: governed.rs.
insert into jobs.buckets (queue, name, tokens, at)
select $1, name, tokens, $4
  from unnest($2::text[], $3::float8[]) as bucket (name, tokens)
    on conflict (queue, name) do update
   set tokens = excluded.tokens,
       at = excluded.at
