-- Jobs with a recorded outcome; benches/engine/ours.rs.
select count(*)
from jobs
where finished_at is not null
