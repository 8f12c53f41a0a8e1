-- Adds so many ($3) of each queue ($1) and measure ($2) to its minute and its hour at $4 (or now). In one order, so
-- that processes wait for each other and never in a circle. Caller: tallies.rs.
insert into jobs.tallies as t (step, at, queue, measure, n)
select s.step,
       floor(extract(epoch from coalesce($4, clock_timestamp())))::bigint / s.step * s.step,
       c.queue,
       c.measure,
       c.n
  from unnest($1::text[], $2::smallint[], $3::bigint[]) as c (queue, measure, n)
 cross join (values (60), (3600)) as s (step)
 order by s.step, c.queue, c.measure
    on conflict (step, at, queue, measure) do update
   set n = t.n + excluded.n
