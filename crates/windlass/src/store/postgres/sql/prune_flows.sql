-- Deletes up to $3 flows that finished, without a failure before $1, with one before $2. Caller: flows.rs.
with over as (
    delete from jobs.flows
     where id = any (array (
            select id
              from jobs.flows
             where finished_at < case when failed > 0 then $2::timestamptz else $1::timestamptz end
             order by finished_at, id
             limit $3
               for update skip locked))
    returning id
),
steps as (
    delete from jobs.flow_steps
     where flow_id = any (array (select id from over))
    returning job_id
)
delete from jobs.flow_edges
 where child_id = any (array (select job_id from steps))
