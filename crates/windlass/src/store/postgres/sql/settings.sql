-- All settings of space $1, or of every space. Caller: control.rs.
select space, name, value::text, version, updated_at
  from jobs.settings
 where $1::text is null
    or space = $1
 order by space, name
