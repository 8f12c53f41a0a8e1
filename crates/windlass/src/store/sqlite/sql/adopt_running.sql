-- adopt_running: makes the running jobs of queue ?1 governed, which were claimed before it was, so that limits count
-- them. Caller: governed.rs.
update jobs
set governed = 1
where queue = ?1
and state = 'running'
and governed = 0;
