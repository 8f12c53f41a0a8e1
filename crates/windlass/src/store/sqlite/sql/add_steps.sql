-- add_steps: adds the steps of the array ?2 of [job, place, name, kind, when it runs, parents, ordering key] to flow ?1. Caller: start.rs.
insert into job_flow_steps (
    job_id, flow_id, position, name, kind, runs_after, pending, blocked, ordering_key
)
select
    unhex(value ->> 0, '-'),
    ?1,
    value ->> 1,
    value ->> 2,
    value ->> 3,
    value ->> 4,
    value ->> 5,
    value ->> 5 > 0,
    value ->> 6
from jsonb_each(?2);
