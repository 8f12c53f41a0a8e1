-- Up to $4 steps of flow $1, if it is tenant $2's (null: anyone's), from place $3 on, each with up to $5 parents, seen at
-- $6 (or now). Caller: flows.rs.
select s.position, s.name, s.job_id, s.kind, s.runs_after, s.pending, s.ended_as, s.reason,
       j.state, j.run_at, coalesce($6, clock_timestamp()) as now,
       array (
           select p.name
             from jobs.flow_edges e
             join jobs.flow_steps p on p.job_id = e.parent_id
            where e.child_id = s.job_id
            order by p.position
            limit $5) as parents
  from jobs.flows f
  join jobs.flow_steps s on s.flow_id = f.id
  left join jobs.jobs j on j.id = s.job_id
 where f.id = $1
   and ($2::text is null or f.tenant_id = $2)
   and s.position >= $3
 order by s.position
 limit $4
