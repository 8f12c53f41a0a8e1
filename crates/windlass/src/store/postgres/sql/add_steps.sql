-- Adds the steps of flow $1: $2 jobs, $3 places, $4 names, $5 kinds, $6 when they run, $7 parents of each, $8 ordering keys.
-- Caller: start.rs.
insert into jobs.flow_steps (job_id, flow_id, position, name, kind, runs_after, pending, blocked, ordering_key)
select new.job_id, $1, new.position, new.name, new.kind, new.runs_after, new.pending, new.pending > 0, new.ordering_key
  from unnest($2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[])
       as new (job_id, position, name, kind, runs_after, pending, ordering_key)
