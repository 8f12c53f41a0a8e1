-- Adds who ($2) waits for whom ($1). Caller: start.rs.
insert into jobs.flow_edges (parent_id, child_id)
select parent_id, child_id
  from unnest($1::uuid[], $2::uuid[]) as new (parent_id, child_id)
