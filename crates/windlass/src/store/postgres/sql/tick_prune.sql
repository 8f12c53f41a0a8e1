-- Deletes up to $3 ticks of each schedule that were recorded before $1 and are not among its latest $2.
-- Caller: schedules.rs.
with old as (
    select o.schedule, o.fire_at
      from jobs.schedules s
     cross join lateral (
            select k.fire_at
              from jobs.ticks k
             where k.schedule = s.name
             order by k.fire_at desc
            offset $2 - 1
             limit 1) as kept
     cross join lateral (
            select t.schedule, t.fire_at
              from jobs.ticks t
             where t.schedule = s.name
               and t.fire_at < kept.fire_at
               and t.fired_at < $1
               and not t.open
             order by t.fire_at
             limit $3) as o
)
delete from jobs.ticks d
 using old
 where d.schedule = old.schedule
   and d.fire_at = old.fire_at
