-- Drops keys ($1) of jobs ($2) that have just finished, unless a window holds them. Only tidies up: a key
-- without window is free once its job is finished, dropped or not. Caller: finish.rs.
delete from jobs.unique_keys
 where key = any (array (
        select k.key
          from unnest($1::text[], $2::uuid[]) as freed (key, job_id)
          join jobs.unique_keys k on k.key = freed.key
           and k.job_id = freed.job_id
           and k.held_until is null
           for update of k skip locked))
