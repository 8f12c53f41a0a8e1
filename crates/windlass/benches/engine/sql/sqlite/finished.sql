-- Jobs with a recorded outcome; benches/engine/ours.rs.
select count(*)
from finished_jobs
