-- Jobs without a recorded outcome; benches/peers.
select count(*)
from Jobs
where status <> 'Done'
