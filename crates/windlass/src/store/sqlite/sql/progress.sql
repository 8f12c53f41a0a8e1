-- progress: job ?1 reports progress ?3 under its claim number ?2. Caller: leases.rs.
update jobs
set progress = ?3
where id = ?1
and claim_no = ?2
and state = 'running';
