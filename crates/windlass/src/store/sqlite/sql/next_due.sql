-- next_due: when the next job of queue ?1 falls due. One look into the index per priority. Caller: claim.rs.
select min((
    select min(run_at)
    from jobs
    where queue = ?1
    and (state = 'available' or state = 'scheduled' or state = 'retryable')
    and governed = 0
    and jobs.priority = priorities.value
))
from json_each('[0,1,2,3,4,5,6,7,8,9]') as priorities;
