-- rewrite: of job ?1, puts args ?2 in form ?3, result ?4 in form ?5 and checkpoint ?6 in form ?7 (null: left alone),
-- if all are as they were. Caller: at_rest.rs.
update jobs
set args = coalesce(?3, args),
result = coalesce(?5, result),
checkpoint = coalesce(?7, checkpoint)
where id = ?1
and (?2 is null or args = ?2)
and (?4 is null or result = ?4)
and (?6 is null or checkpoint = ?6);
