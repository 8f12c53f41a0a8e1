-- set_args: job ?1 has args ?2 from now on. Caller: operate.rs.
update jobs
set args = ?2
where id = ?1;
