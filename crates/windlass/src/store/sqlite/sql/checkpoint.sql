-- checkpoint: keeps the checkpoint ?3 of job ?1 under its claim number ?2. Caller: flows.rs.
update jobs
set checkpoint = ?3
where id = ?1
and claim_no = ?2
and state = 'running';
