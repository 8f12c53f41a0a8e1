-- How many parts of messages wait for an operator to decide. Called when metrics are read.
select count(*)
from jobs.outbox
where state = 'unknown'
