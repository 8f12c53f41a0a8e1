-- add_edges: adds who waits for whom, the array ?1 of [parent, child]. Caller: start.rs.
insert into job_flow_edges (parent_id, child_id)
select
    unhex(value ->> 0, '-'),
    unhex(value ->> 1, '-')
from jsonb_each(?1);
