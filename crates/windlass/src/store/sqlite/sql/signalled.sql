-- signalled: what is known of signal ?2 of job ?1. Caller: signals.rs.
select payload, awaited_until
from job_signals
where job_id = ?1
and name = ?2;
