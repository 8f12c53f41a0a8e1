-- Jobs without a recorded outcome; benches/engine/ours.rs.
select count(*)
from jobs
