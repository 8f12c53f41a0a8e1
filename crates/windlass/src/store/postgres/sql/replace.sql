-- Gives the unfinished job $1 other args ($2), another priority ($3) and time ($4), at $5; not if it runs, nor if someone is
-- changing it at this moment, which a claim or a finish does. Caller: keys.rs.
update jobs.jobs
   set args = $2::text::json,
       priority = $3,
       run_at = $4::timestamptz,
       state = case when state = 'waiting' then 'waiting' when $4::timestamptz > $5::timestamptz then 'scheduled' else 'available' end
 where id = (
        select id
          from jobs.jobs
         where id = $1
           and lease_expires_at is null
           for update skip locked)
returning queue
