-- Jobs without a recorded outcome; benches/peers.
select count(*)
from apalis.jobs
where status <> 'Done'
