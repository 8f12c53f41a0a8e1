-- Counts steps of flows ($1) that completed ($2), failed ($3), were skipped ($4), or, less than none, that no longer
-- have; finished at $5 (or now) if they were the last. Caller: steps.rs.
update jobs.flows f
   set completed = f.completed + ended.completed,
       failed = f.failed + ended.failed,
       skipped = f.skipped + ended.skipped,
       finished_at = case
           when f.completed + ended.completed + f.failed + ended.failed + f.skipped + ended.skipped = f.steps
           then coalesce($5, clock_timestamp())
       end
  from unnest($1::uuid[], $2::int[], $3::int[], $4::int[]) as ended (id, completed, failed, skipped)
 where f.id = ended.id
