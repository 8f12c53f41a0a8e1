-- Raises the fence of every unfinished job above any that was given out after the backup was made.
update jobs set claim_no = claim_no + 1000000 where finished_at is null;
