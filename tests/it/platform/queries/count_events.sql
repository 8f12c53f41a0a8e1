-- How many events there are. Called by tests.
select count(*)
from events
