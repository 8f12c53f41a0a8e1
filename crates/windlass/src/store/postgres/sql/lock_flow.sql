-- Locks flow $1, if it is tenant $2's (null: anyone's), until the transaction ends. Caller: flows.rs.
select finished_at is not null as finished
  from jobs.flows
 where id = $1
   and ($2::text is null or tenant_id = $2)
   for update
