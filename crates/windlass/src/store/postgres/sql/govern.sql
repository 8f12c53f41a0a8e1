-- Begins a governed claim of queue $1: waits for its turn if $2 (limits), so that whatever the next statements see is all
-- there is; tells the time, which is $3 if that is given. Caller: governed.rs.
select coalesce($3, clock_timestamp())
  from (select case when $2 then pg_advisory_xact_lock(1785684852, hashtext($1)) end as locked
        offset 0) as turn
