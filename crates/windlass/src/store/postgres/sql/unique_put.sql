-- Writes who holds locked keys ($1) now: job ($2), until ($3), for which request ($4). Caller: keys.rs.
update jobs.unique_keys k
   set job_id = held.job_id,
       held_until = held.held_until,
       digest = held.digest
  from unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[]) as held (key, job_id, held_until, digest)
 where k.key = held.key
