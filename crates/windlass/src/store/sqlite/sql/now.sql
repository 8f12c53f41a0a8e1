-- now: proves that the file answers; the time itself is the machine's. Caller: mod.rs.
select 1;
