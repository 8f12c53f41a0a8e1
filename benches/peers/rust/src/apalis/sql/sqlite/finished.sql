-- Jobs with a recorded outcome; benches/peers.
select count(*)
from Jobs
where status = 'Done'
