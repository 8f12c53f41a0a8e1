-- How many parts of messages wait for an operator to decide. Called when metrics are read.
select count(*)
from outbox
where state = 'unknown'
